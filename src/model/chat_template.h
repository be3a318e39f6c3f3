#pragma once

// A conversation as a model's own template writes it: the text, names of control tokens included, that the
// model was trained to answer. The template is a program that the model's file brings along; libllama knows
// the common ones by their marks and writes what they would, and others are refused rather than guessed.
//
// Pure function; any thread.

#include "model/model.h"

#include <pie/chat.h>
#include <pie/result.h>

#include <span>
#include <string>

namespace pie {

// Ends where the answer begins. A last message of the assistant is the beginning of the answer. Errors:
// unsupported (the model has no template, or one that is not known), invalid_argument (no message, or one
// with a zero byte).
Result<std::string> apply_chat_template(const LoadedModel& model, std::span<const ChatMessage> messages);

} // namespace pie
