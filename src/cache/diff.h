#pragma once

// What of a cached token sequence can serve a wanted one. Common ends are trimmed, Myers' O(ND) algorithm
// (1986) aligns the middle, and blocks that changed their order are found, longest first, among what is left
// and in place of runs half their length or shorter. Runs too short to be more than accident are not kept: a
// kept token costs nothing but fidelity, a re-encoded one a little time.
//
// Thread rule: a pure function; it may run in any number of threads.

#include <pie/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// cached[from, from + length) equals wanted[to, to + length).
struct KeptRun {
    int32_t from = 0;
    int32_t to = 0;
    int32_t length = 0;

    bool operator==(const KeptRun&) const = default;
};

struct DiffOptions {
    // Tokens; shorter runs between two changes are re-encoded. The common start and the common end are kept
    // whatever their length: what stands before the start is unchanged, so its cache is exact, and an end
    // that is still the end is no accident.
    int32_t kept_run_min = 4;
    int32_t moved_run_min = 16; // tokens, at least 1; shorter blocks that changed their order are re-encoded
};

// Runs in ascending `to`, disjoint in both sequences, each maximal: no run can grow by a pair of equal tokens
// that no run holds.
std::vector<KeptRun> diff_tokens(std::span<const TokenId> cached, std::span<const TokenId> wanted,
                                 const DiffOptions& options = {});

// Blocks of at least `length_min` tokens that stand in both, in whatever order; no token is in two of them.
// Ascending `to`. In linear time, however little the sequences have to do with each other.
std::vector<KeptRun> common_blocks(std::span<const TokenId> cached, std::span<const TokenId> wanted,
                                   int32_t length_min);

} // namespace pie
