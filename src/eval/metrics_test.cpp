#include "eval/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace pie {

TEST_CASE("KL divergence of known distributions") {
    // P = (1/2, 1/2), Q = (1/4, 3/4); an added constant leaves the distributions alone.
    const std::vector<float> p = {3.0F, 3.0F};
    const std::vector<float> q = {std::log(0.25F) - 7.0F, std::log(0.75F) - 7.0F};
    CHECK(kl_divergence(p, q) == doctest::Approx(0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3.0)));
    CHECK(kl_divergence(q, p) == doctest::Approx(0.25 * std::log(0.5) + 0.75 * std::log(1.5)));
    CHECK(kl_divergence(p, p) == 0.0);
}

TEST_CASE("KL divergence is finite for extreme logits") {
    const std::vector<float> p = {1000.0F, -1000.0F};
    const std::vector<float> q = {-1000.0F, 1000.0F};
    CHECK(kl_divergence(p, q) == doctest::Approx(2000.0));
}

TEST_CASE("agreement counts equal places over the longer sequence") {
    const std::vector<TokenId> a = {TokenId(1), TokenId(2), TokenId(3)};
    const std::vector<TokenId> b = {TokenId(1), TokenId(9), TokenId(3), TokenId(4)};
    CHECK(agreement(a, b) == doctest::Approx(0.5));
    CHECK(agreement(b, a) == doctest::Approx(0.5));
    CHECK(agreement(a, {}) == 0.0);
    CHECK(agreement({}, {}) == 1.0);
}

} // namespace pie
