#include "base/quantile.h"

#include <doctest/doctest.h>

#include <numeric>

namespace pie {

TEST_CASE("quantiles by the nearest rank") {
    CHECK(quantile({}, 0.5) == 0);
    CHECK(quantile({7}, 0) == 7);
    CHECK(quantile({7}, 1) == 7);
    CHECK(quantile({3, 1, 2}, 0) == 1);
    CHECK(quantile({3, 1, 2}, 0.99) == 3);
    CHECK(quantile({3, 1, 2}, 1) == 3);
    std::vector<double> many(200);
    std::iota(many.rbegin(), many.rend(), 1.0);
    CHECK(quantile(many, 0.5) == 100);
    CHECK(quantile(many, 0.99) == 198);
    CHECK(quantile(many, 0.991) == 199);
}

TEST_CASE("the median is a value that was measured") {
    CHECK(median({}) == 0);
    CHECK(median({3, 1, 2}) == 2);
    CHECK(median({4, 3, 1, 2}) == 2);
    CHECK(median({5, 5}) == 5);
}

} // namespace pie
