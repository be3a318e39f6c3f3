#include "model/chat_template.h"

#include <llama.h>

#include <algorithm>
#include <vector>

namespace pie {
namespace {

Result<void> check_messages(std::span<const ChatMessage> messages) {
    if (messages.empty()) {
        return fail(ErrorCode::invalid_argument, "a conversation has at least one message");
    }
    // libllama takes and gives texts that end at the first one.
    const auto holds_zero = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    const bool is_cut = std::ranges::any_of(messages, [&](const ChatMessage& message) {
        return holds_zero(message.role) || holds_zero(message.content);
    });
    if (is_cut) {
        return fail(ErrorCode::invalid_argument,
                    "a message holds a zero byte, which no chat template can write; leave it out");
    }
    return {};
}

} // namespace

Result<std::string> apply_chat_template(const LoadedModel& model, std::span<const ChatMessage> messages) {
    PIE_TRY(check_messages(messages));
    const char* chat_template = llama_model_chat_template(model.get(), nullptr);
    if (chat_template == nullptr) {
        return fail(ErrorCode::unsupported,
                    "this model has no chat template, so it was not trained for conversations; use an "
                    "instruct model, or complete a text");
    }
    const bool is_begun = messages.back().role == "assistant";
    const std::string begun = is_begun ? messages.back().content : "";
    std::vector<llama_chat_message> chat;
    for (const ChatMessage& message : messages.first(messages.size() - (is_begun ? 1 : 0))) {
        chat.push_back({message.role.c_str(), message.content.c_str()});
    }
    const auto apply = [&](char* text, int32_t n_bytes) {
        return llama_chat_apply_template(chat_template, chat.data(), chat.size(), true, text, n_bytes);
    };
    const int32_t n_bytes = apply(nullptr, 0);
    if (n_bytes < 0) {
        return fail(ErrorCode::unsupported,
                    "the model's chat template is none of those that are known; complete a text that is "
                    "written as the model wants it instead");
    }
    std::string prompt(static_cast<size_t>(n_bytes), '\0');
    apply(prompt.data(), n_bytes);
    return prompt + begun;
}

} // namespace pie
