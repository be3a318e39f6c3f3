#include "server/request.h"

#include "server/json_fields.h"
#include "server/request_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace pie {
namespace {

void append_part(JsonFields& fields, std::string_view name, const nlohmann::json& value,
                 std::vector<PromptPart>& parts) {
    if (value.is_string()) {
        std::string text;
        fields.string_in(name, value, text);
        parts.emplace_back(std::move(text));
    } else if (value.is_number_integer() && value >= 0 && value <= int_max) {
        parts.emplace_back(TokenId(value.get<int32_t>()));
    } else {
        fields.fail(ErrorCode::invalid_argument, name, "must be a string, or an array of tokens and strings");
    }
}

std::vector<PromptPart> parts_of(JsonFields& fields, std::string_view name, const nlohmann::json& value) {
    std::vector<PromptPart> parts;
    if (value.is_array()) {
        for (const auto& part : value) {
            append_part(fields, name, part, parts);
        }
    } else {
        append_part(fields, name, value, parts);
    }
    return parts;
}

std::vector<PromptPart> read_parts(JsonFields& fields, std::string_view name) {
    const auto* field = fields.find(name);
    if (field == nullptr) {
        fields.fail(ErrorCode::invalid_argument, name, "is required");
        return {};
    }
    return parts_of(fields, name, *field);
}

bool begins_prompt(const nlohmann::json& value) {
    return value.is_string() || value.is_array();
}

// As llama-server tells them apart: an array of strings, or of arrays, is one of prompts; with tokens among
// its values it is one prompt.
std::vector<std::vector<PromptPart>> read_prompts(JsonFields& fields, std::string_view name) {
    const auto* field = fields.find(name);
    if (field == nullptr || !field->is_array() || field->empty() ||
        !std::ranges::all_of(*field, begins_prompt)) {
        return {read_parts(fields, name)};
    }
    if (field->size() > prompts_max) {
        fields.fail(ErrorCode::invalid_argument, name, fmt::format("may hold {} prompts", prompts_max));
        return {};
    }
    std::vector<std::vector<PromptPart>> prompts;
    for (const auto& value : *field) {
        prompts.push_back(parts_of(fields, name, value));
    }
    return prompts;
}

template <typename T>
Result<T> finish(const JsonFields& fields, T value) {
    PIE_TRY(fields.result());
    return value;
}

} // namespace

Result<FillRequest> parse_fill_request(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    FillRequest request;
    for (const char* name : {"input_prefix", "input_suffix"}) {
        if (fields.find(name) == nullptr) {
            fields.fail(ErrorCode::invalid_argument, name, "is required");
        }
    }
    fields.string("input_prefix", request.prefix);
    fields.string("input_suffix", request.suffix);
    fields.string("prompt", request.prompt);
    request.chunks = read_chunks(fields, "input_extra");
    request.generation = read_generation(fields);
    // Programs that send many requests at once set no time for the answer; editors do.
    request.generation.is_typed = request.generation.options.stop.predict_milliseconds_max > 0;
    return finish(fields, std::move(request));
}

Result<PromptRequest> parse_prompt_request(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    PromptRequest request;
    request.prompts = read_prompts(fields, "prompt");
    if (fields.find("suffix") != nullptr) {
        fields.string("suffix", request.suffix.emplace());
        const auto is_text = [](const std::vector<PromptPart>& prompt) {
            return prompt.size() == 1 && std::holds_alternative<std::string>(prompt.front());
        };
        if (!std::ranges::all_of(request.prompts, is_text)) {
            fields.fail(ErrorCode::invalid_argument, "suffix", "needs a prompt that is a string");
        }
    }
    fields.boolean("token_healing", request.token_healing);
    bool echo = false;
    fields.boolean("echo", echo);
    if (echo) {
        fields.fail(ErrorCode::unsupported, "echo", "is not supported; leave it out");
    }
    request.generation = read_generation(fields);
    int32_t best_of = request.generation.n_completions;
    fields.integer("best_of", best_of, {1, int_max});
    if (best_of > request.generation.n_completions) {
        fields.fail(ErrorCode::unsupported, "best_of", "is not supported beyond \"n\"; leave it out");
    }
    return finish(fields, std::move(request));
}

Result<TokenizeRequest> parse_tokenize_request(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    TokenizeRequest request;
    if (fields.find("content") != nullptr) {
        request.content = read_parts(fields, "content");
    }
    fields.boolean("add_special", request.add_special);
    fields.boolean("parse_special", request.parse_special);
    fields.boolean("with_pieces", request.with_pieces);
    return finish(fields, std::move(request));
}

Result<std::vector<TokenId>> parse_detokenize_request(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    std::vector<TokenId> tokens;
    if (const auto* field = fields.find("tokens")) {
        const bool all_integers = field->is_array() && std::ranges::all_of(*field, [](const auto& value) {
                                      return value.is_number_integer() && value >= 0 && value <= int_max;
                                  });
        if (!all_integers) {
            return fail(ErrorCode::invalid_argument, "\"tokens\" must be an array of tokens");
        }
        for (const auto& value : *field) {
            tokens.emplace_back(value.get<int32_t>());
        }
    }
    return tokens;
}

} // namespace pie
