#pragma once

// Answers in OpenAI's dialect: text completions and chats, whole and in chunks.
//
// Pure functions; any thread.

#include "server/answer.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <vector>

namespace pie {

nlohmann::json openai_answer(const AnswerContext& context, const Generated& generated);

// Of a stream: what comes before the texts, a part of a completion's text, and what comes behind all of them:
// how each completion ended, with `rests` of which nothing was sent yet, and what it took.
std::vector<nlohmann::json> openai_first_chunks(const AnswerContext& context);
nlohmann::json openai_part_chunk(const AnswerContext& context, int32_t index, const Completion& part,
                                 int64_t n_characters_before);
std::vector<nlohmann::json> openai_last_chunks(const AnswerContext& context, const Generated& generated,
                                               const std::vector<Completion>& rests);

} // namespace pie
