#include "session/draft.h"

#include <algorithm>

namespace pie {
namespace {

constexpr size_t n_equal_max = 16;
constexpr int32_t n_draft_min = 3;

// How many tokens before `end` are those that end the sequence, counted up to n_equal_max.
size_t count_equal(std::span<const TokenId> sequence, size_t end) {
    size_t n = 0;
    while (n < std::min(end, n_equal_max) && sequence[end - 1 - n] == sequence[sequence.size() - 1 - n]) {
        ++n;
    }
    return n;
}

} // namespace

std::vector<TokenId> draft_from_earlier(std::span<const TokenId> sequence, int32_t n_max,
                                        size_t n_equal_min) {
    size_t from = 0;
    size_t n_equal = n_equal_min - 1;
    for (size_t end = sequence.size(); end-- > n_equal_min && n_equal < n_equal_max;) {
        if (const size_t n = count_equal(sequence, end); n > n_equal) {
            n_equal = n;
            from = end;
        }
    }
    std::vector<TokenId> drafted;
    // A sequence that repeats itself to its end goes on repeating: the draft may run over into itself.
    for (size_t i = from; from > 0 && static_cast<int32_t>(drafted.size()) < n_max; ++i) {
        drafted.push_back(i < sequence.size() ? sequence[i] : drafted[i - sequence.size()]);
    }
    return drafted;
}

DraftLength::DraftLength(int32_t n_max) : n_max_(n_max), n_(std::min(n_max, n_draft_min)) {}

void DraftLength::record(int32_t n_drafted, int32_t n_accepted) {
    if (n_accepted == n_drafted) {
        n_ = std::min(n_max_, 2 * n_ + 1);
    } else {
        n_ = std::min(n_max_, std::max(n_draft_min, n_ / 2));
    }
}

} // namespace pie
