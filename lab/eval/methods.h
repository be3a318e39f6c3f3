#pragma once

// The ways of bringing a live sequence from the prompt before an edit to the prompt after it, each by its
// name. A name may carry a number: "full:64" recomputes in batches of 64 tokens, "pie+seam:4" has a seam
// of 4. A new way is a function and a line of the table in methods.cpp.
//
// Thread rule: the model thread alone calls apply().

#include "cache/kv_cache.h"
#include "eval/full_state.h"
#include "session/live_sequence.h"

#include <pie/result.h>
#include <pie/types.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// What a method works on. The sequence holds the prompt before the edit, in `cache`.
struct MethodInput {
    LiveSequence& sequence;
    const KvCache& cache;
    std::span<const TokenId> after;
    const FullState* full_state = nullptr; // of `after`; where the method needs it
    std::span<const TokenId> other = {};   // the edited prompt of another row; where the method needs it
    int32_t n_completion_tokens = 0;       // that a completion has; where the method needs one
};

// What must be there before a method can work.
enum class MethodNeed {
    nothing,
    completion, // one behind the prompt before the edit, observed, so that it knows what was looked at
    full_state, // an oracle is told what a full recompute would give
    other_row,  // a cache that is none of this row's
};

// What decides what a method leaves: of several prompts one after the other all, the last edit alone, or
// nothing but the edited prompt, so that rows which have it in common have the outcome in common.
enum class DependsOn { history, last_edit, edited_prompt };

struct Method {
    std::string name; // as it was written
    MethodNeed need = MethodNeed::nothing;
    DependsOn depends_on = DependsOn::history;
    // Afterwards the sequence continues `after` as well as the method can. Errors: those of
    // LiveSequence::update.
    std::function<Result<UpdateReport>(const MethodInput&)> apply;
};

// The reference that all others are measured against.
Method full_recompute();

// Errors: invalid_argument (no method of the name, or a number that is none or that the method does not
// take).
Result<Method> parse_method(std::string_view name);

// Names separated by commas. Errors: those; invalid_argument for a name that is there twice.
Result<std::vector<Method>> parse_methods(std::string_view names);

} // namespace pie
