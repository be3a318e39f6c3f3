#pragma once

// Continues a live sequence, token by token, and leaves the cache as it was before.

#include "engine/sampler.h"
#include "session/live_sequence.h"

#include <pie/result.h>
#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct CompletionOptions {
    int32_t n_predict = 64; // most tokens
    SamplingOptions sampling;
};

enum class FinishReason {
    end_of_text, // the model said that it is done
    length,      // n_predict tokens
    context,     // no cell was left
    stopped,     // the receiver of the text said so
};

enum class StreamControl { go_on, stop };

// Receives the text as it comes, in pieces that are valid UTF-8.
using TextReceiver = std::function<StreamControl(std::string_view)>;

struct Completion {
    std::string text; // valid UTF-8; a character that the last token left incomplete is missing
    std::vector<TokenId> tokens;
    FinishReason finish = FinishReason::length;
    double first_token_milliseconds = 0; // choosing the first token; its logits were there
    double milliseconds = 0;             // of all tokens
};

// Needs a sequence that was updated. Afterwards the sequence and its logits are what they were. Errors:
// cancelled, internal.
Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive = {});

} // namespace pie
