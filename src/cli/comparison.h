#pragma once

// One edit, answered twice: by the session that keeps its cache, and by full recompute, which is the measure
// of both its speed and its truth.

#include "session/live_document.h"

#include <pie/result.h>

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <span>
#include <string_view>

namespace pie {

struct Answer {
    UpdateReport update;
    Completion completion;

    // From the edited text to the first token, on the person's clock.
    double first_token_milliseconds() const {
        return update.milliseconds + completion.first_token_milliseconds;
    }
};

struct Comparison {
    Answer edit;
    Answer full;
    double first_token_kl = 0; // KL(full || edit)
    double agreement = 0;      // share of equal tokens of the two completions

    double speedup() const { return full.first_token_milliseconds() / edit.first_token_milliseconds(); }
};

// The text after the edit, with the cursor in it, and what `session` knows from before it.
Result<Answer> answer_edit(LiveDocument& session, std::string_view text, ByteOffset cursor,
                           const ReuseOptions& reuse, const CompletionOptions& options,
                           const std::function<void(int32_t done, int32_t total)>& progress = {});

// `edit` is what `live` answered just now. `reference` computes the same from nothing; `progress` hears of
// that, the long part.
Result<Comparison> compare_with_full(Answer edit, const LiveDocument& live, LiveDocument& reference,
                                     std::string_view text, ByteOffset cursor,
                                     const CompletionOptions& options,
                                     const std::function<void(int32_t done, int32_t total)>& progress);

// Share of places at which two token sequences hold the same token; the longer one sets the number of places,
// and two empty ones agree.
double agreement(std::span<const TokenId> a, std::span<const TokenId> b);

// As the commands print it.
nlohmann::json as_json(const Comparison& comparison);

} // namespace pie
