#pragma once

// The parts of answers that several endpoints and both dialects share, as JSON.
//
// Pure functions; any thread.

#include "server/generation.h"

#include <pie/completion.h>
#include <pie/model.h>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

const char* stop_type(FinishReason reason);            // llama-server's word
const char* openai_finish_reason(FinishReason reason); // OpenAI's

// What a token adds to the text of its completion, and where in it. The first ones may have begun before the
// cursor.
struct ShownToken {
    std::string text;
    size_t begin; // bytes
};
// Those that have a part in the text: a stop string's have none.
std::vector<ShownToken> shown_tokens(const Completion& completion);
size_t n_tokens_shown(const Completion& completion);
int64_t n_characters(std::string_view text);

nlohmann::json timings(const Completion& completion, const UpdateReport& update);
// What the cache spared.
nlohmann::json reuse(const UpdateReport& update);
nlohmann::json usage(const Generated& generated);
// `n_predict` is what the request settled on.
nlohmann::json generation_settings(const Model& model, const GenerationRequest& request, int32_t n_predict);
nlohmann::json probabilities(const Model& model, const Completion& completion,
                             const GenerationRequest& request);
nlohmann::json token_ids(std::span<const TokenId> tokens);
nlohmann::json token_bytes(const std::string& piece);

} // namespace pie
