#include "server/request_fields.h"

#include "engine/sampler_order.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>

namespace pie {
namespace {

constexpr int32_t int_max = std::numeric_limits<int32_t>::max();
constexpr float float_max = std::numeric_limits<float>::max();
constexpr int32_t n_probs_max = 100;
constexpr size_t stop_strings_max = 100;
constexpr size_t stop_string_bytes_max = 1000;

// llama-server takes the order of samplers as a string of these, too.
const std::map<char, std::string> sampler_letters = {
    {'e', "penalties"}, {'d', "dry"},   {'s', "top_n_sigma"}, {'k', "top_k"},       {'y', "typ_p"},
    {'p', "top_p"},     {'m', "min_p"}, {'x', "xtc"},         {'t', "temperature"}, {'i', "infill"}};

void read_sampler_order(JsonFields& fields, SamplingOptions& sampling) {
    const auto* field = fields.find("samplers");
    if (field == nullptr) {
        return;
    }
    std::vector<std::string> names;
    if (field->is_string()) {
        for (const char letter : field->get_ref<const std::string&>()) {
            const auto found = sampler_letters.find(letter);
            if (found == sampler_letters.end()) {
                fields.fail(ErrorCode::invalid_argument, "samplers",
                            "has a letter that stands for no sampler");
                return;
            }
            names.push_back(found->second);
        }
    } else {
        fields.strings("samplers", names);
    }
    auto order = parse_sampler_order(names);
    if (order) {
        sampling.order = *std::move(order);
    } else {
        fields.take(tl::unexpected<Error>(std::move(order).error()));
    }
}

void read_sampling(JsonFields& fields, SamplingOptions& sampling) {
    fields.clamped("temperature", sampling.temperature, {0, float_max});
    fields.clamped("top_k", sampling.top_k, {0, int_max});
    fields.clamped("top_p", sampling.top_p, {0, 1});
    fields.clamped("min_p", sampling.min_p, {0, 1});
    fields.clamped("typical_p", sampling.typical_p, {0, 1});
    fields.clamped("repeat_penalty", sampling.repeat_penalty, {-float_max, float_max});
    fields.clamped("frequency_penalty", sampling.frequency_penalty, {-float_max, float_max});
    fields.clamped("presence_penalty", sampling.presence_penalty, {-float_max, float_max});
    fields.integer("repeat_last_n", sampling.penalty_last_n, {0, int_max});
    int64_t seed = sampling.seed;
    fields.integer("seed", seed, {-1, random_seed});
    sampling.seed = seed < 0 ? random_seed : static_cast<uint32_t>(seed);
    read_sampler_order(fields, sampling);
}

void read_stop(JsonFields& fields, StopOptions& stop) {
    const auto* field = fields.find("stop");
    if (field != nullptr && field->is_string()) {
        stop.strings = {field->get<std::string>()};
    } else {
        fields.strings("stop", stop.strings);
    }
    const bool too_long = std::ranges::any_of(
        stop.strings, [](const std::string& string) { return string.size() > stop_string_bytes_max; });
    if (stop.strings.size() > stop_strings_max || too_long) {
        fields.fail(ErrorCode::invalid_argument, "stop",
                    fmt::format("may hold {} strings of {} bytes", stop_strings_max, stop_string_bytes_max));
    }
    fields.clamped("n_indent", stop.n_indent, {0, int_max});
    fields.number("t_max_predict_ms", stop.predict_milliseconds_max, {-1, float_max});
    stop.predict_milliseconds_max = std::max(stop.predict_milliseconds_max, 0.0);
}

bool is_empty(const nlohmann::json& value) {
    return value.empty() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
           (value.is_number() && value.get<double>() == 0.0) || (value.is_boolean() && !value.get<bool>());
}

// What would change the answer is refused, where llama-server would follow it and nothing here can; switched
// off it does no harm.
void refuse_unsupported(JsonFields& fields) {
    for (const char* name : {"grammar", "logit_bias", "ignore_eos", "mirostat", "dry_multiplier",
                             "xtc_probability", "dynatemp_range", "tools", "functions"}) {
        const auto* field = fields.find(name);
        if (field != nullptr && !is_empty(*field)) {
            fields.fail(ErrorCode::unsupported, name, "is not supported; leave it out");
        }
    }
    if (fields.find("json_schema") != nullptr) {
        fields.fail(ErrorCode::unsupported, "json_schema", "is not supported; leave it out");
    }
    const auto* format = fields.find("response_format");
    if (format != nullptr && !(format->is_object() && format->value("type", nlohmann::json()) == "text")) {
        fields.fail(ErrorCode::unsupported, "response_format", "is not supported but for plain text");
    }
    const auto* sigma = fields.find("top_n_sigma");
    if (sigma != nullptr && sigma->is_number() && sigma->get<double>() > 0) {
        fields.fail(ErrorCode::unsupported, "top_n_sigma", "is not supported; leave it out");
    }
}

} // namespace

GenerationRequest read_generation(JsonFields& fields) {
    GenerationRequest request;
    CompletionOptions& options = request.options;
    fields.integer(fields.first_of({"n_predict", "max_completion_tokens", "max_tokens"}), options.n_predict,
                   {-1, int_max});
    fields.integer(fields.first_of({"n_cmpl", "n"}), request.n_completions, {1, completions_max});
    fields.integer("id_slot", request.slot_hint, {-1, int_max});
    fields.boolean("stream", request.stream);
    fields.boolean("cache_prompt", request.reuse_cache);
    fields.boolean("return_tokens", request.return_tokens);
    fields.strings("response_fields", request.response_fields);
    if (const auto* stream_options = fields.find("stream_options"); stream_options != nullptr) {
        if (stream_options->is_object()) {
            JsonFields inner(*stream_options, "stream_options.");
            inner.boolean("include_usage", request.stream_usage);
            fields.take(inner.result());
        } else {
            fields.fail(ErrorCode::invalid_argument, "stream_options", "must be an object");
        }
    }
    fields.number("t_max_prompt_ms", options.prompt_milliseconds_max, {-1, float_max});
    options.prompt_milliseconds_max = std::max(options.prompt_milliseconds_max, 0.0);
    read_sampling(fields, options.sampling);
    read_stop(fields, options.stop);
    const auto probabilities = fields.first_of({"n_probs", "logprobs"});
    if (const auto* field = fields.find(probabilities); field != nullptr && field->is_boolean()) {
        // Chat clients say whether, and how many elsewhere; the token that was taken is told in any case.
        if (field->get<bool>()) {
            fields.integer("top_logprobs", options.n_probs, {0, n_probs_max});
            options.n_probs = std::max(options.n_probs, 1);
        }
    } else {
        fields.integer(probabilities, options.n_probs, {0, n_probs_max});
    }
    bool after_sampling = false;
    fields.boolean("post_sampling_probs", after_sampling);
    options.probabilities =
        after_sampling ? ProbabilityKind::after_sampling : ProbabilityKind::before_sampling;
    refuse_unsupported(fields);
    return request;
}

std::vector<ContextChunk> read_chunks(JsonFields& fields, std::string_view name) {
    std::vector<ContextChunk> chunks;
    const auto* field = fields.find(name);
    if (field == nullptr) {
        return chunks;
    }
    if (!field->is_array()) {
        fields.fail(ErrorCode::invalid_argument, name,
                    R"(must be an array of {"filename": string, "text": string})");
        return chunks;
    }
    for (const auto& item : *field) {
        const std::string place = fmt::format("{}[{}]", name, chunks.size());
        ContextChunk& chunk = chunks.emplace_back(ContextChunk{.file_name = "tmp"}); // llama-server's name
        if (!item.is_object() || !item.contains("text")) {
            fields.fail(ErrorCode::invalid_argument, place, "must be an object with a \"text\"");
            return chunks;
        }
        JsonFields inner(item, place + ".");
        inner.string("filename", chunk.file_name);
        inner.string("text", chunk.text);
        fields.take(inner.result());
    }
    return chunks;
}

} // namespace pie
