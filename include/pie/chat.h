#pragma once

// Conversations with models that were trained for them.

#include <string>

namespace pie {

// All text is UTF-8.
struct ChatMessage {
    std::string role; // "system", "user" or "assistant"
    std::string content;
};

} // namespace pie
