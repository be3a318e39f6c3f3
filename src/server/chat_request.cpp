#include "server/chat_request.h"

#include "server/json_fields.h"
#include "server/request_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace pie {
namespace {

using nlohmann::json;

// One behind the other on lines of their own, as llama-server puts them.
std::string read_text_parts(JsonFields& fields, std::string_view name, const json& parts) {
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
        const std::string place = fmt::format("{}[{}]", name, i);
        const json& part = parts[i];
        if (!part.is_object() || !part.contains("type")) {
            fields.fail(ErrorCode::invalid_argument, place, "must be an object with a \"type\"");
            break;
        }
        if (part["type"] != "text") {
            fields.fail(ErrorCode::unsupported, place, "is not text, and the model reads nothing else");
            break;
        }
        std::string part_text;
        JsonFields inner = fields.within(part, place);
        if (inner.find("text") == nullptr) {
            inner.fail(ErrorCode::invalid_argument, "text", "is required");
        }
        inner.string("text", part_text);
        fields.take(inner.result());
        text += (text.empty() ? "" : "\n") + part_text;
    }
    return text;
}

std::string read_role(JsonFields& fields) {
    std::string role;
    fields.string("role", role);
    if (role == "developer") { // OpenAI's newer word
        return "system";
    }
    if (role == "tool" || role == "function") {
        fields.fail(ErrorCode::unsupported, "role", "must be system, user or assistant: there are no tools");
    } else if (role != "system" && role != "user" && role != "assistant") {
        fields.fail(ErrorCode::invalid_argument, "role", "must be system, user or assistant");
    }
    return role;
}

ChatMessage read_message(JsonFields& fields) {
    ChatMessage message;
    message.role = read_role(fields);
    for (const char* name : {"tool_calls", "function_call"}) {
        if (const auto* calls = fields.find(name); calls != nullptr && !calls->empty()) {
            fields.fail(ErrorCode::unsupported, name, "is not supported; send conversations without tools");
        }
    }
    const json* content = fields.find("content");
    if (content == nullptr) {
        fields.fail(ErrorCode::invalid_argument, "content", "is required");
    } else if (content->is_array()) {
        message.content = read_text_parts(fields, "content", *content);
    } else {
        fields.string("content", message.content);
    }
    return message;
}

std::vector<ChatMessage> read_messages(JsonFields& fields) {
    std::vector<ChatMessage> messages;
    const json* field = fields.find("messages");
    if (field == nullptr || !field->is_array() || field->empty()) {
        fields.fail(ErrorCode::invalid_argument, "messages", "must be an array of at least one message");
        return messages;
    }
    for (const json& item : *field) {
        const std::string place = fmt::format("messages[{}]", messages.size());
        if (!item.is_object()) {
            fields.fail(ErrorCode::invalid_argument, place, "must be an object");
            break;
        }
        JsonFields inner = fields.within(item, place);
        messages.push_back(read_message(inner));
        fields.take(inner.result());
    }
    return messages;
}

// What would make another prompt of the same messages. Variables of a template (chat_template_kwargs) have no
// effect: templates are recognised, not run.
void refuse_other_prompts(JsonFields& fields) {
    const json* continues = fields.find("continue_final_message");
    if (continues != nullptr && !continues->empty() && *continues != json(false)) {
        fields.fail(ErrorCode::unsupported, "continue_final_message", "is not supported; leave it out");
    }
    bool begins_answer = true;
    fields.boolean("add_generation_prompt", begins_answer);
    if (!begins_answer) {
        fields.fail(ErrorCode::unsupported, "add_generation_prompt", "is not supported but as true");
    }
    const json* choice = fields.find("tool_choice");
    if (choice != nullptr && *choice != "auto" && *choice != "none") {
        fields.fail(ErrorCode::unsupported, "tool_choice", "is not supported; leave it out");
    }
}

} // namespace

Result<ChatRequest> parse_chat_request(std::string_view body) {
    PIE_ASSIGN(const json object, parse_json_object(body));
    JsonFields fields(object);
    ChatRequest request;
    request.messages = read_messages(fields);
    refuse_other_prompts(fields);
    request.generation = read_generation(fields);
    const json* logprobs = fields.find("logprobs");
    if (fields.find("top_logprobs") != nullptr && (logprobs == nullptr || *logprobs == json(false))) {
        fields.fail(ErrorCode::invalid_argument, "top_logprobs", "needs \"logprobs\": true");
    }
    PIE_TRY(fields.result());
    return request;
}

} // namespace pie
