#pragma once

// Continues a live sequence, token by token, and leaves the cache as it was before.

#include "engine/sampler.h"
#include "session/live_sequence.h"
#include "session/stop_rule.h"

#include <pie/result.h>
#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Probabilities by the logits as the model gave them, or of what the samplers left to draw from.
enum class ProbabilityKind { before_sampling, after_sampling };

struct CompletionOptions {
    int32_t n_predict = 64; // most tokens
    SamplingOptions sampling = {};
    StopOptions stop = {};
    int32_t n_probs = 0; // tokens whose probabilities are told, at each place
    ProbabilityKind probabilities = ProbabilityKind::before_sampling;
    // Most tokens to draft from the sequence itself and check in one batch; 0: none. Only at temperature 0,
    // where the completion stays what it is without, as far as batches of several sizes round alike (see
    // decoder.cpp).
    int32_t draft_max = 15;
};

enum class StreamControl { go_on, stop };

// Receives the text as it comes, in pieces that are valid UTF-8. What may be the beginning of a stop string
// comes when it is known not to be.
using TextReceiver = std::function<StreamControl(std::string_view)>;

struct Completion {
    std::string text;            // valid UTF-8; a character that the last token left incomplete is missing
    std::vector<TokenId> tokens; // all that were taken; the text may end within the last ones
    std::vector<TokenProbabilities> probabilities; // of each token, if n_probs > 0
    FinishReason finish = FinishReason::length;
    double first_token_milliseconds = 0; // choosing the first token; its logits were there
    double milliseconds = 0;             // of all tokens
    int32_t tokens_drafted = 0;
    int32_t tokens_accepted = 0; // of the drafted ones
};

// Needs a sequence that was updated. Afterwards the sequence and its logits are what they were. Errors:
// invalid_argument and unsupported (Sampler::create), cancelled, internal.
Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive = {});

// `n` alternatives with the seeds sampling.seed, + 1, …; at temperature 0 they are all the same one. They are
// made one after the other: the first is there after the time of one completion, the last after n times that.
// Errors: as above.
Result<std::vector<Completion>> complete_several(LiveSequence& sequence, const CompletionOptions& options,
                                                 int32_t n);

} // namespace pie
