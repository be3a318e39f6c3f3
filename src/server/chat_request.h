#pragma once

// What clients say of conversations, as OpenAI's do: /v1/chat/completions and /apply-template.
//
// Pure function; any thread.

#include "server/request.h"

#include <pie/chat.h>
#include <pie/result.h>

#include <string_view>
#include <vector>

namespace pie {

struct ChatRequest {
    std::vector<ChatMessage> messages; // at least one
    GenerationRequest generation;
};

// Errors: invalid_argument, unsupported; see request.h. Tools, and whatever is not text, are unsupported: the
// known templates cannot write them, and an answer to half of a conversation would be a wrong one.
Result<ChatRequest> parse_chat_request(std::string_view body);

} // namespace pie
