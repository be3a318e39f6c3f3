#pragma once

// Means of samples and how far they can be trusted.
//
// Thread rule: pure functions.

#include <cstdint>
#include <span>

namespace pie {

// A mean with its 95 % confidence interval.
struct MeanInterval {
    double mean = 0;
    double low = 0;
    double high = 0;
};

// By the percentile bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of
// Statistics 1979): means of samples drawn from the sample with replacement. `values` is not empty; of a
// single value nothing can be said, and the interval is that value. Equal values and seeds give equal
// intervals.
MeanInterval bootstrap_mean(std::span<const double> values, uint64_t seed = 1);

} // namespace pie
