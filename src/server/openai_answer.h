#pragma once

// Answers in OpenAI's dialect: text completions and chats, whole and in chunks.
//
// Pure functions; any thread.

#include "server/answer.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace pie {

nlohmann::json openai_answer(const AnswerContext& context, const Generated& generated);

// Of a stream: what comes before the texts, a part of a completion's text, and what comes behind all of them:
// how each completion ended, with the probabilities of its tokens, and what it took.
std::vector<nlohmann::json> openai_first_chunks(const AnswerContext& context);
nlohmann::json openai_text_chunk(const AnswerContext& context, int32_t index, std::string_view text);
std::vector<nlohmann::json> openai_last_chunks(const AnswerContext& context, const Generated& generated);

} // namespace pie
