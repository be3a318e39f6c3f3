// Fuzzes the bodies of requests without a document: whatever a parser lets through keeps the ranges that the
// rest of the server counts on, and says what the body said, as a plain reader of the JSON sees it.

#include "base/check.h"
#include "server/chat_request.h"
#include "server/fuzz/fuzz_checks.h"
#include "server/request.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;

void check_fill(std::string_view body) {
    const auto request = parse_fill_request(body);
    if (!fuzz::is_accepted(request)) {
        return;
    }
    const json object = fuzz::object_of(body);
    PIE_CHECK(request->prefix == object.at("input_prefix"), "the prefix is the body's");
    PIE_CHECK(request->suffix == object.at("input_suffix"), "the suffix is the body's");
    PIE_CHECK(request->prompt == fuzz::string_or(object, "prompt", ""), "the prompt is the body's");
    fuzz::check_chunks(request->chunks, object, "input_extra");
    fuzz::check_generation(request->generation);
}

void check_parts(const std::vector<PromptPart>& parts, const json& value) {
    const json array = value.is_array() ? value : json::array({value});
    PIE_CHECK(parts.size() == array.size(), "each part is read");
    for (size_t i = 0; i < parts.size(); ++i) {
        if (const auto* text = std::get_if<std::string>(&parts[i])) {
            PIE_CHECK(*text == array[i], "texts are the body's");
        } else {
            PIE_CHECK(array[i].is_number_integer() && std::get<TokenId>(parts[i]).value == array[i] &&
                          std::get<TokenId>(parts[i]).value >= 0,
                      "tokens are the body's");
        }
    }
}

// An array of strings, or of arrays, is one of prompts.
void check_prompts(const std::vector<std::vector<PromptPart>>& prompts, const json& value) {
    const auto begins_prompt = [](const json& entry) { return entry.is_string() || entry.is_array(); };
    if (!value.is_array() || value.empty() || !std::ranges::all_of(value, begins_prompt)) {
        PIE_CHECK(prompts.size() == 1, "there is one prompt");
        check_parts(prompts.front(), value);
        return;
    }
    PIE_CHECK(prompts.size() == value.size(), "each prompt is read");
    for (size_t i = 0; i < prompts.size(); ++i) {
        check_parts(prompts[i], value[i]);
    }
}

void check_prompt(std::string_view body) {
    const auto request = parse_prompt_request(body);
    if (!fuzz::is_accepted(request)) {
        return;
    }
    const json object = fuzz::object_of(body);
    check_prompts(request->prompts, object.at("prompt"));
    PIE_CHECK(request->suffix.value_or("") == fuzz::string_or(object, "suffix", ""),
              "the suffix is the body's");
    for (const std::vector<PromptPart>& prompt : request->prompts) {
        PIE_CHECK(
            !request->suffix ||
                std::ranges::all_of(
                    prompt, [](const PromptPart& part) { return std::holds_alternative<std::string>(part); }),
            "what is filled in stands behind a text");
    }
    fuzz::check_generation(request->generation);
}

void check_chat(std::string_view body) {
    const auto request = parse_chat_request(body);
    if (!fuzz::is_accepted(request)) {
        return;
    }
    const json messages = fuzz::object_of(body).at("messages");
    PIE_CHECK(!messages.empty() && request->messages.size() == messages.size(), "each message is read");
    for (const ChatMessage& message : request->messages) {
        PIE_CHECK(message.role == "system" || message.role == "user" || message.role == "assistant",
                  "roles are those of templates");
        PIE_CHECK(utf8::is_valid(message.content), "texts are UTF-8");
    }
    fuzz::check_generation(request->generation);
}

void check_tokenize(std::string_view body) {
    const auto request = parse_tokenize_request(body);
    if (!fuzz::is_accepted(request)) {
        return;
    }
    const json object = fuzz::object_of(body);
    const auto content = object.find("content");
    if (content == object.end() || content->is_null()) {
        PIE_CHECK(request->content.empty(), "no content is made up");
    } else {
        check_parts(request->content, *content);
    }
}

void check_detokenize(std::string_view body) {
    const auto tokens = parse_detokenize_request(body);
    if (!fuzz::is_accepted(tokens)) {
        return;
    }
    const json object = fuzz::object_of(body);
    json ids = json::array();
    for (const TokenId token : *tokens) {
        PIE_CHECK(token.value >= 0, "tokens count from 0");
        ids.push_back(token.value);
    }
    const auto given = object.find("tokens");
    PIE_CHECK(given == object.end() || given->is_null() ? ids.empty() : ids == *given,
              "the tokens are the body's");
}

} // namespace
} // namespace pie

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view body(reinterpret_cast<const char*>(data), size);
    pie::check_fill(body);
    pie::check_prompt(body);
    pie::check_chat(body);
    pie::check_tokenize(body);
    pie::check_detokenize(body);
    return 0;
}
