#pragma once

// How many tokens of an update are encoded at a time, where what is encoded is kept when the rest is cut
// short: as many as are expected to take a given time, by the pace of the last piece; half as many where a
// piece was cut, and twice as many at the most where one was whole. Behind a cut piece of twice the least
// size or less, the next one is to run to its end: so whatever is cut short again and again ends.
//
// Thread rule: one thread at a time.

#include <cstdint>

namespace pie {

class PieceSize {
  public:
    // Tokens: `n_min` of at least 1, and `n_max` of at least `n_min`.
    PieceSize(int32_t n_min, int32_t n_max);

    // Tokens of the next piece, if there are so many.
    int32_t within(double milliseconds) const;
    // The same, but `n_tokens` at least, unless pieces are being cut.
    int32_t about(double milliseconds, int32_t n_tokens) const;
    int32_t least() const { return n_min_; }
    bool must_end() const { return must_end_; }

    void note_whole(int32_t n_tokens, double milliseconds);
    void note_cut(int32_t n_tokens);

  private:
    int32_t n_min_;
    int32_t n_max_;
    int32_t limit_;
    double tokens_a_millisecond_ = 0; // 0: not known
    bool must_end_ = false;
};

} // namespace pie
