#include "eval/flops.h"
#include "support/reference.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("two operations a weight and token, four an element, head and token looked at, and the logits") {
    const auto model = testing::load_tiny_model({.n_layer = 3});
    const FlopFormula formula(*model);
    // Queries and output 128 x 128, keys and values 128 x 64, feed-forward three times 128 x 256.
    const double layer = 2.0 * (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 256);
    const double looked = 4.0 * 4 * 32;
    const double output = 2.0 * 128 * testing::tiny_vocabulary_size;
    CHECK(formula.update(1, 10) == doctest::Approx(3 * (layer + 10 * looked) + output));
    CHECK(formula.update(7, 100) == doctest::Approx(7 * 3 * (layer + 100 * looked) + output));
    CHECK(formula.update(0, 100) == 0);
}

TEST_CASE("of experts those that are used count") {
    const testing::TinyModel dense{.architecture = "llama"};
    testing::TinyModel experts = dense;
    experts.n_expert = 4;
    experts.n_expert_used = 2;
    const auto plain = testing::load_tiny_model(dense);
    const auto mixed = testing::load_tiny_model(experts);
    const double n_layer = 2;
    const double router = 2.0 * 128 * 4 * n_layer;
    const double one_feed_forward = 2.0 * 3 * 128 * 256 * n_layer;
    CHECK(FlopFormula(*mixed).update(1, 1) ==
          doctest::Approx(FlopFormula(*plain).update(1, 1) + one_feed_forward + router));
}

} // namespace pie
