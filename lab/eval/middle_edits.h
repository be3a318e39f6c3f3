#pragma once

// Edits of fill-in-the-middle prompts, at their cursor: rows of the table in edits.cpp.
//
// Thread rule: pure functions but for the draws.

#include "eval/edits.h"

#include <cstddef>
#include <optional>

namespace pie {

// The last 1 to 5 lines before the cursor are typed.
std::optional<Edit> type_lines(const EditSite& site, Random& random);

// The last `n_keys` bytes before the cursor are typed, character by character.
std::optional<Edit> type_keys(const EditSite& site, size_t n_keys);

template <size_t n_keys>
std::optional<Edit> type_keys(const EditSite& site, Random& /*random*/) {
    return type_keys(site, n_keys);
}

// The cursor comes from 10 to 60 lines away.
std::optional<Edit> jump_cursor(const EditSite& site, Random& random);

} // namespace pie
