#pragma once

// The shortest edit script between two sequences (E. Myers, "An O(ND) Difference Algorithm and Its
// Variations", Algorithmica 1986), in its linear-space form. Time is about (N + M) + D * D for D insertions
// and deletions.
//
// Work is bounded: where a part of the two sequences has more than about a thousand insertions and deletions,
// that part is divided at the points that the search has come furthest to. The matches are then no longer the
// most possible, but they are always right, and time grows with the sequences' length instead of its square.
//
// Thread rule: a pure function; it may run in any number of threads.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// a[a_begin, a_begin + length) equals b[b_begin, b_begin + length).
struct Match {
    size_t a_begin = 0;
    size_t b_begin = 0;
    size_t length = 0;

    bool operator==(const Match&) const = default;
};

// Matches in ascending order of both sides, none empty, none continuing its predecessor.
std::vector<Match> myers_matches(std::span<const int32_t> a, std::span<const int32_t> b);

} // namespace pie
