#include "eval/statistics.h"

#include "base/check.h"
#include "eval/random.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace pie {
namespace {

constexpr size_t n_resamples = 4000;
constexpr double tail = 0.025; // on either side

double mean_of(std::span<const double> values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

} // namespace

MeanInterval bootstrap_mean(std::span<const double> values, uint64_t seed) {
    PIE_CHECK(!values.empty(), "there is something to take the mean of");
    const double mean = mean_of(values);
    Random random(seed, "bootstrap");
    std::vector<double> means(n_resamples);
    for (double& resampled : means) {
        double sum = 0;
        for (size_t i = 0; i < values.size(); ++i) {
            sum += values[random.below(values.size())];
        }
        resampled = sum / static_cast<double>(values.size());
    }
    std::ranges::sort(means);
    const auto cut = static_cast<size_t>(tail * static_cast<double>(n_resamples));
    // The sums of equal values may differ by rounding; the mean lies in its interval all the same.
    return {mean, std::min(mean, means[cut]), std::max(mean, means[n_resamples - 1 - cut])};
}

} // namespace pie
