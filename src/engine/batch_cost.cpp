#include "engine/batch_cost.h"

#include <algorithm>

namespace pie {
namespace {

constexpr double kept = 0.97; // of the older batches' weight, with each new one
// Of a batch of one, for each token more, as long as no batches of several sizes were seen.
constexpr double likely_share_of_token = 0.5;

} // namespace

void BatchCost::record(int32_t n_tokens, double milliseconds) {
    if (n_tokens > n_tokens_max) {
        return;
    }
    const double n = n_tokens;
    weight_ = kept * weight_ + 1;
    tokens_ = kept * tokens_ + n;
    milliseconds_ = kept * milliseconds_ + milliseconds;
    tokens_squared_ = kept * tokens_squared_ + n * n;
    product_ = kept * product_ + n * milliseconds;
}

BatchCost::Line BatchCost::line() const {
    Line line = {.mean_tokens = tokens_ / weight_, .mean_milliseconds = milliseconds_ / weight_};
    const double variance = tokens_squared_ / weight_ - line.mean_tokens * line.mean_tokens;
    const double slope = variance > 0.25
                             ? (product_ / weight_ - line.mean_tokens * line.mean_milliseconds) / variance
                             : line.mean_milliseconds / (line.mean_tokens - 1 + 1 / likely_share_of_token);
    // A token costs something, and not more than its share of a batch, whatever a disturbed machine says.
    const double share = line.mean_milliseconds / line.mean_tokens;
    line.slope = std::clamp(slope, 0.02 * share, share);
    return line;
}

int32_t BatchCost::tokens_within(double milliseconds) const {
    if (weight_ == 0) {
        return 0;
    }
    const Line known = line();
    const double tokens = known.mean_tokens + (milliseconds - known.mean_milliseconds) / known.slope;
    return static_cast<int32_t>(std::clamp(tokens, 0.0, 1e6));
}

double BatchCost::share_of_token() const {
    if (weight_ == 0) {
        return likely_share_of_token;
    }
    const Line known = line();
    return known.slope / (known.mean_milliseconds - known.slope * (known.mean_tokens - 1));
}

} // namespace pie
