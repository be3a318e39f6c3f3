#pragma once

// Quantiles of measured values, by the nearest rank: always one of the values.
//
// Thread rule: pure functions.

#include <vector>

namespace pie {

// The least value that at least `share` of all do not exceed; `share` is 0 to 1. 0 of nothing.
double quantile(std::vector<double> values, double share);

double median(std::vector<double> values);

} // namespace pie
