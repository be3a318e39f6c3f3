#include "engine/logits.h"

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

TEST_CASE("loss is the negative log-probability, and the likeliest token is the one with the largest logit") {
    const std::vector<float> logits = {std::log(0.2F) + 5.0F, std::log(0.7F) + 5.0F, std::log(0.1F) + 5.0F};
    CHECK(log_loss(logits, TokenId(0)) == doctest::Approx(-std::log(0.2)));
    CHECK(log_loss(logits, TokenId(1)) == doctest::Approx(-std::log(0.7)));
    CHECK(likeliest(logits) == TokenId(1));
    CHECK(likeliest(std::vector<float>{2.0F, 2.0F}) == TokenId(0));
}

} // namespace pie
