#include "server/request_fields.h"

#include "engine/sampler_order.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

namespace pie {
namespace {

constexpr float float_max = std::numeric_limits<float>::max();
constexpr int32_t n_probs_max = 100;
constexpr int32_t penalty_last_n_max = 1 << 20;
constexpr size_t stop_strings_max = 100;
constexpr size_t stop_string_bytes_max = 1000;

// llama-server takes the order of samplers as a string of these, too.
const std::map<char, std::string> sampler_letters = {
    {'e', "penalties"}, {'d', "dry"},   {'s', "top_n_sigma"}, {'k', "top_k"},       {'y', "typ_p"},
    {'p', "top_p"},     {'m', "min_p"}, {'x', "xtc"},         {'t', "temperature"}, {'i', "infill"}};

// What is no sampler here is skipped, as llama-server does.
void read_sampler_order(JsonFields& fields, SamplingOptions& sampling) {
    const auto* field = fields.find("samplers");
    if (field == nullptr) {
        return;
    }
    std::vector<std::string> names;
    if (field->is_string()) {
        std::string letters;
        fields.string("samplers", letters);
        for (const char letter : letters) {
            const auto found = sampler_letters.find(letter);
            names.push_back(found == sampler_letters.end() ? std::string(1, letter) : found->second);
        }
    } else {
        fields.strings("samplers", names);
    }
    sampling.order.clear();
    std::string skipped;
    for (const std::string& name : names) {
        const auto stages = parse_sampler_order(std::span(&name, 1));
        if (stages) {
            sampling.order.insert(sampling.order.end(), stages->begin(), stages->end());
        } else {
            skipped = name;
        }
    }
    if (!skipped.empty()) {
        constexpr size_t shown_max = 40;
        const nlohmann::json shown = skipped.substr(0, shown_max);
        spdlog::info("a request names a sampler that there is not, and that is skipped: {}",
                     shown.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    }
}

// Any integer, of which 32 bits count.
void read_seed(JsonFields& fields, uint32_t& seed) {
    const auto* field = fields.find("seed");
    if (field != nullptr && field->is_number_integer()) {
        seed = static_cast<uint32_t>(field->get<uint64_t>());
        return;
    }
    int64_t whole = seed;
    fields.integer("seed", whole, {-1, random_seed});
    seed = static_cast<uint32_t>(whole);
}

void read_penalty_range(JsonFields& fields, int32_t& last_n) {
    int32_t read = last_n;
    fields.clamped("repeat_last_n", read, {-1, penalty_last_n_max});
    last_n = read < 0 ? penalty_last_n_max : read; // -1: the whole context
}

// False, as llama-server has it, keeps a token out.
std::optional<float> read_bias(const nlohmann::json& value) {
    if (value.is_number()) {
        return static_cast<float>(std::clamp(value.get<double>(), -1e6, 1e6));
    }
    return value.is_boolean() && !value.get<bool>() ? std::optional(-std::numeric_limits<float>::infinity())
                                                    : std::nullopt;
}

std::optional<int32_t> read_token(const std::string& text) {
    int32_t token = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), token);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(token) : std::nullopt;
}

// Whose logits are biased.
using Biased = std::variant<int32_t, std::string>;

void add_bias(JsonFields& fields, const std::optional<Biased>& biased, const nlohmann::json& value,
              GenerationRequest& request) {
    const auto bias = read_bias(value);
    if (!biased || !bias) {
        fields.fail(ErrorCode::invalid_argument, "logit_bias",
                    "must be {\"token\": bias, ...} or [[token, bias], ...] with tokens as numbers or texts");
    } else if (const auto* text = std::get_if<std::string>(&*biased)) {
        request.text_biases.push_back({*text, *bias});
    } else {
        request.options.sampling.logit_bias.push_back({TokenId(std::get<int32_t>(*biased)), *bias});
    }
}

// A name is a token's number, or else a text.
Biased read_bias_name(const std::string& name) {
    const auto token = read_token(name);
    return token ? Biased(*token) : Biased(name);
}

// Of an array, in which a string is a text, whatever it holds.
std::optional<Biased> read_biased(JsonFields& fields, const nlohmann::json& value) {
    if (value.is_string()) {
        std::string text;
        fields.string_in("logit_bias", value, text);
        return text;
    }
    return value.is_number_integer() ? std::optional<Biased>(value.get<int32_t>()) : std::nullopt;
}

void read_logit_bias(JsonFields& fields, GenerationRequest& request) {
    const auto* field = fields.find("logit_bias");
    if (field == nullptr) {
        return;
    }
    if (field->is_object()) { // OpenAI's
        for (const auto& [name, bias] : field->items()) {
            add_bias(fields, read_bias_name(name), bias, request);
        }
    } else if (field->is_array()) { // llama-server's
        for (const auto& entry : *field) {
            const bool is_pair = entry.is_array() && entry.size() == 2;
            add_bias(fields, is_pair ? read_biased(fields, entry[0]) : std::nullopt,
                     is_pair ? entry[1] : entry, request);
        }
    } else {
        add_bias(fields, std::nullopt, *field, request);
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
    read_penalty_range(fields, sampling.penalty_last_n);
    read_seed(fields, sampling.seed);
    fields.boolean("ignore_eos", sampling.ignore_end);
    read_sampler_order(fields, sampling);
}

void read_stop(JsonFields& fields, StopOptions& stop) {
    const auto* field = fields.find("stop");
    if (field != nullptr && field->is_string()) {
        fields.string("stop", stop.strings.emplace_back());
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
    for (const char* name : {"grammar", "mirostat", "dry_multiplier", "xtc_probability", "dynatemp_range",
                             "tools", "functions"}) {
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
                   {-2, int_max});
    options.n_predict = std::max(options.n_predict, -1); // -2: as many as the context has room for
    fields.integer(fields.first_of({"n_cmpl", "n"}), request.n_completions, {1, completions_max});
    fields.clamped("id_slot", request.slot_hint, {-1, int_max});
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
    read_logit_bias(fields, request);
    read_stop(fields, options.stop);
    const auto probabilities = fields.first_of({"n_probs", "logprobs"});
    if (const auto* field = fields.find(probabilities); field != nullptr && field->is_boolean()) {
        // Chat clients say whether, and how many elsewhere; the token that was taken is told in any case.
        if (field->get<bool>()) {
            fields.clamped("top_logprobs", options.n_probs, {0, n_probs_max});
            request.shows_likeliest = options.n_probs > 0;
            options.n_probs = std::max(options.n_probs, 1);
        }
    } else {
        fields.clamped(probabilities, options.n_probs, {0, n_probs_max});
        if (field != nullptr && probabilities == "logprobs" &&
            options.n_probs == 0) { // OpenAI's: none beside
            request.shows_likeliest = false;
            options.n_probs = 1;
        }
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
