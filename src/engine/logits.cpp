#include "engine/logits.h"

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

double log_loss(std::span<const float> logits, TokenId token) {
    const auto index = static_cast<size_t>(token.value);
    PIE_CHECK(token.value >= 0 && index < logits.size(), "the token is one of the vocabulary");
    return std::max(0.0, log_partition(logits) - static_cast<double>(logits[index]));
}

TokenId likeliest(std::span<const float> logits) {
    PIE_CHECK(!logits.empty(), "a vocabulary has tokens");
    return TokenId(static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin()));
}

} // namespace pie
