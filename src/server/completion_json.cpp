#include "server/completion_json.h"

#include <nlohmann/json.hpp>
#include <utf8.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <utility>

namespace pie {

using nlohmann::json;

namespace {

double per(double amount, double count) {
    return count > 0 ? amount / count : 0;
}

std::string sampler_name(SamplerStage stage) {
    switch (stage) {
    case SamplerStage::penalties:
        return "penalties";
    case SamplerStage::top_k:
        return "top_k";
    case SamplerStage::typical_p:
        return "typ_p";
    case SamplerStage::top_p:
        return "top_p";
    case SamplerStage::min_p:
        return "min_p";
    case SamplerStage::temperature:
        return "temperature";
    case SamplerStage::infill:
        return "infill";
    }
    return {};
}

json probability(const Model& model, const TokenProbability& entry, ProbabilityKind kind) {
    const std::string piece = model.detokenize({entry.token}).value_or("");
    json object = {{"id", entry.token.value},
                   {"token", utf8::is_valid(piece) ? piece : ""},
                   {"bytes", token_bytes(piece)}};
    if (kind == ProbabilityKind::after_sampling) {
        object["prob"] = std::exp(entry.log_probability);
    } else {
        object["logprob"] = entry.log_probability;
    }
    return object;
}

} // namespace

const char* stop_type(FinishReason reason) {
    switch (reason) {
    case FinishReason::end_of_text:
    case FinishReason::fence: // what follows is no code
        return "eos";
    case FinishReason::stop_string:
        return "word";
    case FinishReason::stopped:
        return "none";
    case FinishReason::length:
    case FinishReason::context:
    case FinishReason::indentation:
    case FinishReason::time_limit:
        return "limit";
    }
    return "none";
}

const char* openai_finish_reason(FinishReason reason) {
    const std::string_view type = stop_type(reason);
    return type == "eos" || type == "word" ? "stop" : "length";
}

std::vector<ShownToken> shown_tokens(const Completion& completion) {
    std::vector<ShownToken> shown;
    size_t begin = 0;
    for (const size_t end : completion.text_ends) {
        if (begin >= completion.text.size()) {
            break; // of the stop string, or of a character that is not whole
        }
        shown.push_back({completion.text.substr(begin, end - begin), begin});
        begin = end;
    }
    return shown;
}

json timings(const Completion& completion, const UpdateReport& update) {
    const double prompt_n = update.tokens_encoded;
    const auto predicted_n = static_cast<double>(completion.tokens.size());
    return {{"cache_n", update.tokens_kept},
            {"prompt_n", update.tokens_encoded},
            {"prompt_ms", update.milliseconds},
            {"prompt_per_token_ms", per(update.milliseconds, prompt_n)},
            {"prompt_per_second", per(1000 * prompt_n, update.milliseconds)},
            {"predicted_n", completion.tokens.size()},
            {"predicted_ms", completion.milliseconds},
            {"predicted_per_token_ms", per(completion.milliseconds, predicted_n)},
            {"predicted_per_second", per(1000 * predicted_n, completion.milliseconds)},
            {"draft_n", completion.tokens_drafted},
            {"draft_n_accepted", completion.tokens_accepted}};
}

json reuse(const UpdateReport& update) {
    return {{"tokens_context", update.tokens_context},
            {"tokens_kept", update.tokens_kept},
            {"tokens_moved", update.tokens_moved},
            {"tokens_encoded", update.tokens_encoded},
            {"tokens_ahead", update.tokens_ahead},
            {"tokens_exact", update.tokens_exact},
            {"exact", update.tokens_exact >= update.tokens_context},
            {"bit_exact", update.tokens_bit_exact >= update.tokens_context}};
}

json generation_settings(const Model& model, const GenerationRequest& request, int32_t n_predict) {
    const SamplingOptions& sampling = request.options.sampling;
    json samplers = json::array();
    for (const SamplerStage stage : sampling.order) {
        samplers.push_back(sampler_name(stage));
    }
    return {{"n_ctx", model.n_ctx()},
            {"n_predict", n_predict},
            {"max_tokens", n_predict},
            {"n_cmpl", request.n_completions},
            {"seed", sampling.seed},
            {"temperature", sampling.temperature},
            {"top_k", sampling.top_k},
            {"top_p", sampling.top_p},
            {"min_p", sampling.min_p},
            {"typical_p", sampling.typical_p},
            {"repeat_penalty", sampling.repeat_penalty},
            {"repeat_last_n", sampling.penalty_last_n},
            {"frequency_penalty", sampling.frequency_penalty},
            {"presence_penalty", sampling.presence_penalty},
            {"samplers", std::move(samplers)},
            {"stop", request.options.stop.strings},
            {"n_indent", request.options.stop.n_indent},
            {"t_max_prompt_ms", request.options.prompt_milliseconds_max},
            {"t_max_predict_ms", request.options.stop.predict_milliseconds_max},
            {"n_probs", request.options.n_probs},
            {"stream", request.stream}};
}

json token_bytes(const std::string& piece) {
    json bytes = json::array();
    for (const char c : piece) {
        bytes.push_back(static_cast<unsigned char>(c));
    }
    return bytes;
}

json probabilities(const Model& model, const Completion& completion, const GenerationRequest& request) {
    const ProbabilityKind kind = request.options.probabilities;
    json places = json::array();
    const size_t n_shown = n_tokens_shown(completion);
    for (const TokenProbabilities& place : std::span(completion.probabilities).first(n_shown)) {
        json object = probability(model, place.taken, kind);
        json& likeliest = object[kind == ProbabilityKind::after_sampling ? "top_probs" : "top_logprobs"];
        likeliest = json::array();
        for (size_t i = 0; request.shows_likeliest && i < place.likeliest.size(); ++i) {
            likeliest.push_back(probability(model, place.likeliest[i], kind));
        }
        places.push_back(std::move(object));
    }
    return places;
}

// What was cut off is not shown. Other tokens without text are: a character may be left incomplete.
size_t n_tokens_shown(const Completion& completion) {
    switch (completion.finish) {
    case FinishReason::stop_string:
    case FinishReason::indentation:
    case FinishReason::fence:
    case FinishReason::stopped:
    case FinishReason::time_limit:
        return shown_tokens(completion).size();
    case FinishReason::end_of_text:
    case FinishReason::length:
    case FinishReason::context:
        break;
    }
    return completion.tokens.size();
}

int64_t n_characters(std::string_view text) {
    return std::ranges::count_if(text,
                                 [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

json token_ids(std::span<const TokenId> tokens) {
    json ids = json::array();
    for (const TokenId token : tokens) {
        ids.push_back(token.value);
    }
    return ids;
}

json usage(const Generated& generated) {
    size_t predicted = 0;
    for (const Completion& completion : generated.completions) {
        predicted += completion.tokens.size();
    }
    const auto context = static_cast<size_t>(generated.update.tokens_context);
    return {{"prompt_tokens", context},
            {"completion_tokens", predicted},
            {"total_tokens", context + predicted},
            {"prompt_tokens_details", {{"cached_tokens", generated.update.tokens_kept}}}};
}

} // namespace pie
