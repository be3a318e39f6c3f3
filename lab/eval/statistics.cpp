#include "eval/statistics.h"

#include "base/check.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
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
    PIE_CHECK(values.size() <= std::numeric_limits<uint32_t>::max(), "an index has 32 bits");
    const double mean = mean_of(values);
    if (std::ranges::all_of(values, [&values](double value) { return value == values.front(); })) {
        return {mean, mean, mean};
    }
    // Reports draw by the billion: two indices of each number drawn.
    std::mt19937_64 engine(seed);
    uint64_t drawn = 0;
    const auto draw = [&](size_t i) {
        drawn = i % 2 == 0 ? engine() : drawn >> 32U;
        return values[(drawn & 0xFFFFFFFFU) * values.size() >> 32U];
    };
    std::vector<double> means(n_resamples);
    for (double& resampled : means) {
        double sum = 0;
        for (size_t i = 0; i < values.size(); ++i) {
            sum += draw(i);
        }
        resampled = sum / static_cast<double>(values.size());
    }
    std::ranges::sort(means);
    const auto cut = static_cast<size_t>(tail * static_cast<double>(n_resamples));
    // The sums of equal values may differ by rounding; the mean lies in its interval all the same.
    return {mean, std::min(mean, means[cut]), std::max(mean, means[n_resamples - 1 - cut])};
}

} // namespace pie
