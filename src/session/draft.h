#pragma once

// Prompt-lookup drafting (after Saxena, 2023): code repeats itself, so what followed the last occurrence of
// the tokens that end a sequence is likely to follow again. The model checks such a draft in one batch, which
// costs less than a batch for each of its tokens.
//
// Thread rule: one thread at a time.

#include <pie/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// Up to `n_max` tokens that may come next: those behind the earlier place where most of the tokens that end
// the sequence stand, at least `n_equal_min` and counted up to 16; of several such places the latest. Empty
// where there is none. The search reads the sequence once, in microseconds, where a completion's token takes
// milliseconds; an index of the sequence would cost more to make than a completion's searches.
std::vector<TokenId> draft_from_earlier(std::span<const TokenId> sequence, int32_t n_max, size_t n_equal_min);

// How many tokens to draft next: three, then more than twice as many after each draft that was right to its
// end, half as many after one that was not. With the token that comes before the draft, batches have 4, 8,
// 16, … tokens: few shapes, so that the engine rebuilds few graphs, and sizes that kernels are made for.
class DraftLength {
  public:
    // 0: never any.
    explicit DraftLength(int32_t n_max);

    int32_t next() const { return n_; }
    void record(int32_t n_drafted, int32_t n_accepted);

  private:
    int32_t n_max_;
    int32_t n_;
};

} // namespace pie
