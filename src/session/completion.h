#pragma once

// Continues a live sequence, token by token, and leaves the cache as it was before.

#include "engine/sampler.h"
#include "session/live_sequence.h"
#include "session/stop_rule.h"

#include <pie/completion.h>
#include <pie/result.h>
#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Needs a sequence that was updated. Afterwards the sequence and its logits are what they were. What is
// written begins with the text `begun`, which stands before the cursor already and is not part of the
// completion: so a token may cover what was typed and what follows (token healing). Errors: invalid_argument
// and unsupported (Sampler::create), cancelled, internal.
Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive = {}, std::string_view begun = {});

// `n` alternatives with the seeds sampling.seed, + 1, …; at temperature 0 they are all the same one. As many
// as the cache has cells for grow beside each other, a token each in every batch, and `receive` hears them in
// turns. Errors: as above.
Result<std::vector<Completion>> complete_several(LiveSequence& sequence, const CompletionOptions& options,
                                                 int32_t n, const SeveralReceiver& receive = {},
                                                 std::string_view begun = {});

} // namespace pie
