#include "eval/metrics.h"

#include "base/check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pie {
namespace {

// log of the sum of exp(logits): what turns logits into log-probabilities.
double log_partition(std::span<const float> logits) {
    const double largest = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(static_cast<double>(logit) - largest);
    }
    return largest + std::log(sum);
}

} // namespace

double kl_divergence(std::span<const float> logits_p, std::span<const float> logits_q) {
    PIE_CHECK(!logits_p.empty() && logits_p.size() == logits_q.size(), "both are over one vocabulary");
    const double partition_p = log_partition(logits_p);
    const double partition_q = log_partition(logits_q);
    double divergence = 0;
    for (size_t i = 0; i < logits_p.size(); ++i) {
        const double log_p = static_cast<double>(logits_p[i]) - partition_p;
        const double log_q = static_cast<double>(logits_q[i]) - partition_q;
        divergence += std::exp(log_p) * (log_p - log_q);
    }
    return std::max(0.0, divergence); // rounding may leave it a hair below zero
}

double agreement(std::span<const TokenId> a, std::span<const TokenId> b) {
    const size_t longer = std::max(a.size(), b.size());
    if (longer == 0) {
        return 1.0;
    }
    size_t equal = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        equal += a[i] == b[i] ? 1 : 0;
    }
    return static_cast<double>(equal) / static_cast<double>(longer);
}

} // namespace pie
