#include "eval/metrics.h"

#include "base/check.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

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

size_t edit_distance(std::string_view a, std::string_view b) {
    // One row of the table at a time: distances of a's first i bytes to each start of b.
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
    }
    return row[b.size()];
}

} // namespace pie
