#include "server/request.h"

#include "server/json_fields.h"
#include "server/request_fields.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

namespace pie {
namespace {

constexpr int32_t int_max = std::numeric_limits<int32_t>::max();

void append_part(JsonFields& fields, std::string_view name, const nlohmann::json& value,
                 std::vector<PromptPart>& parts) {
    if (value.is_string()) {
        parts.emplace_back(value.get<std::string>());
    } else if (value.is_number_integer() && value >= 0 && value <= int_max) {
        parts.emplace_back(TokenId(value.get<int32_t>()));
    } else {
        fields.fail(ErrorCode::invalid_argument, name, "must be a string, or an array of tokens and strings");
    }
}

std::vector<PromptPart> read_parts(JsonFields& fields, std::string_view name) {
    std::vector<PromptPart> parts;
    const auto* field = fields.find(name);
    if (field == nullptr) {
        fields.fail(ErrorCode::invalid_argument, name, "is required");
    } else if (field->is_array()) {
        for (const auto& value : *field) {
            append_part(fields, name, value, parts);
        }
    } else {
        append_part(fields, name, *field, parts);
    }
    return parts;
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
    request.prompt = read_parts(fields, "prompt");
    const auto is_text = [](const PromptPart& part) { return std::holds_alternative<std::string>(part); };
    if (request.prompt.size() > 1 && std::ranges::all_of(request.prompt, is_text)) {
        fields.fail(ErrorCode::unsupported, "prompt", "may hold one prompt; send a request for each");
    }
    if (fields.find("suffix") != nullptr) {
        fields.string("suffix", request.suffix.emplace());
        if (!std::ranges::all_of(request.prompt, is_text)) {
            fields.fail(ErrorCode::invalid_argument, "suffix", "needs a prompt that is a string");
        }
    }
    bool echo = false;
    fields.boolean("echo", echo);
    int32_t best_of = 1;
    fields.integer("best_of", best_of, {1, int_max});
    if (echo || best_of > 1) {
        fields.fail(ErrorCode::unsupported, echo ? "echo" : "best_of", "is not supported; leave it out");
    }
    request.generation = read_generation(fields);
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
