#pragma once

// Prompts that fill in the middle by themselves: Zed and Continue write the model's markers into the text of
// a prompt. Such a prompt says no more than /infill does, so it may be laid out, cut to the context and
// matched to a session like one.
//
// Pure functions; any thread.

#include "server/similarity.h"

#include <pie/model.h>

#include <optional>
#include <string_view>

namespace pie {

// Whether the text is the same to the model with control tokens recognised and without.
bool is_plain_text(const Model& model, std::string_view text);

// The text and the cursor, where the prompt is <PRE> text <SUF> text <MID>, in the order of the model's
// training, and nothing else: no other control token, such as those between files.
std::optional<PromptContent> fill_in_prompt(const Model& model, std::string_view prompt);

} // namespace pie
