#pragma once

// What the fuzz targets hold parsed requests to. A broken promise ends the program, which libFuzzer reports
// with the input that did it.
//
// Pure functions; any thread.

#include "base/check.h"
#include "server/json_fields.h"
#include "server/request.h"

#include <pie/context.h>
#include <pie/result.h>

#include <nlohmann/json.hpp>
#include <utf8.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace pie::fuzz {

// A refusal must say why, in a message that can stand in an answer.
template <typename T>
bool is_accepted(const Result<T>& request) {
    if (request) {
        return true;
    }
    const Error& error = request.error();
    PIE_CHECK(error.code == ErrorCode::invalid_argument || error.code == ErrorCode::unsupported,
              "a body is refused as wrong or unsupported");
    PIE_CHECK(!error.message.empty() && utf8::is_valid(error.message), "a refusal has a message");
    return false;
}

// The body as nlohmann's reader alone takes it; as ours does where it holds the escape of a surrogate, half a
// pair of which nlohmann's refuses.
inline nlohmann::json object_of(std::string_view body) {
    nlohmann::json object = nlohmann::json::parse(body, nullptr, false);
    static const std::regex surrogate(R"(\\u[dD][89a-fA-F])");
    if (object.is_discarded() && std::regex_search(body.begin(), body.end(), surrogate)) {
        object = parse_json_object(body).value();
    }
    PIE_CHECK(object.is_object(), "what is no JSON object is refused");
    return object;
}

inline std::string string_or(const nlohmann::json& object, std::string_view name,
                             std::string_view otherwise) {
    const auto field = object.find(name);
    return field == object.end() || field->is_null() ? std::string(otherwise) : field->get<std::string>();
}

inline void check_chunks(const std::vector<ContextChunk>& chunks, const nlohmann::json& object,
                         std::string_view name) {
    const auto field = object.find(name);
    const bool is_given = field != object.end() && !field->is_null();
    PIE_CHECK(chunks.size() == (is_given ? field->size() : 0), "each chunk is read");
    for (size_t i = 0; i < chunks.size(); ++i) {
        PIE_CHECK(chunks[i].text == string_or((*field)[i], "text", ""), "the chunks' texts are the body's");
        PIE_CHECK(utf8::is_valid(chunks[i].text) && utf8::is_valid(chunks[i].file_name), "texts are UTF-8");
    }
}

inline void check_generation(const GenerationRequest& request) {
    const auto within = [](double value, double min, double max) { return value >= min && value <= max; };
    const SamplingOptions& sampling = request.options.sampling;
    const StopOptions& stop = request.options.stop;
    PIE_CHECK(request.options.n_predict >= -1, "-1, or a number of tokens");
    PIE_CHECK(request.n_completions >= 1 && request.n_completions <= completions_max, "one to sixteen");
    PIE_CHECK(request.slot_hint >= -1, "-1, or a slot");
    PIE_CHECK(request.options.n_probs >= 0, "a number of tokens");
    PIE_CHECK(sampling.temperature >= 0 && std::isfinite(sampling.temperature), "a temperature");
    PIE_CHECK(sampling.top_k >= 0 && sampling.penalty_last_n >= 0, "numbers of tokens");
    PIE_CHECK(within(sampling.top_p, 0, 1) && within(sampling.min_p, 0, 1) &&
                  within(sampling.typical_p, 0, 1),
              "shares");
    PIE_CHECK(std::isfinite(sampling.repeat_penalty) && std::isfinite(sampling.frequency_penalty) &&
                  std::isfinite(sampling.presence_penalty),
              "penalties");
    const double prompt_ms = request.options.prompt_milliseconds_max;
    PIE_CHECK(prompt_ms >= 0 && std::isfinite(prompt_ms), "a time");
    PIE_CHECK(stop.n_indent >= 0, "a number of columns");
    PIE_CHECK(stop.predict_milliseconds_max >= 0 && std::isfinite(stop.predict_milliseconds_max), "a time");
    PIE_CHECK(std::ranges::all_of(stop.strings, [](const std::string& text) { return utf8::is_valid(text); }),
              "stop strings are UTF-8");
}

} // namespace pie::fuzz
