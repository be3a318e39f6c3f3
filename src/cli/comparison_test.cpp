#include "cli/comparison.h"

#include <doctest/doctest.h>

#include <vector>

namespace pie {

TEST_CASE("agreement counts equal places over the longer sequence") {
    const std::vector<TokenId> a = {TokenId(1), TokenId(2), TokenId(3)};
    const std::vector<TokenId> b = {TokenId(1), TokenId(9), TokenId(3), TokenId(4)};
    CHECK(agreement(a, b) == doctest::Approx(0.5));
    CHECK(agreement(b, a) == doctest::Approx(0.5));
    CHECK(agreement(a, {}) == 0.0);
    CHECK(agreement({}, {}) == 1.0);
}

} // namespace pie
