#pragma once

// What a batch costs on this machine, learnt from the batches that ran: a straight line over the number of
// tokens, fitted to the recent small ones, which is what edits are. Larger ones cost less a token.
//
// Thread rule: one thread at a time.

#include <cstdint>

namespace pie {

class BatchCost {
  public:
    static constexpr int32_t n_tokens_max = 96; // of the batches that it learns from

    void record(int32_t n_tokens, double milliseconds);

    // The most tokens that a batch is expected to encode within the time; 0 while nothing is known.
    int32_t tokens_within(double milliseconds) const;

    // What a token more costs, over the cost of a batch of one: 0.5 while no batches of several sizes are
    // known.
    double share_of_token() const;

  private:
    struct Line {
        double mean_tokens = 0;
        double mean_milliseconds = 0;
        double slope = 0; // milliseconds for each token more
    };

    // Of batches that were seen.
    Line line() const;

    // Sums over the batches seen, the older the less.
    double weight_ = 0;
    double tokens_ = 0;
    double milliseconds_ = 0;
    double tokens_squared_ = 0;
    double product_ = 0;
};

} // namespace pie
