#include "session/repair.h"

#include <doctest/doctest.h>

#include <vector>

namespace pie {
namespace {

std::vector<TokenId> ids(std::initializer_list<int32_t> values) {
    std::vector<TokenId> tokens;
    for (const int32_t value : values) {
        tokens.emplace_back(value);
    }
    return tokens;
}

std::vector<int32_t> values(const std::vector<Position>& positions) {
    std::vector<int32_t> result;
    for (const Position position : positions) {
        result.push_back(position.value);
    }
    return result;
}

// Twelve tokens of which 0 to 2 are exact, 3 is new, 4 is the seam, 11 the query.
struct Example {
    std::vector<TokenId> cached = ids({10, 11, 12, 14, 15, 16, 17, 18, 13, 20, 21});
    std::vector<TokenId> wanted = ids({10, 11, 12, 13, 14, 15, 16, 17, 18, 13, 20, 21});
    EditPlan plan = {.keep = {{0, 0, 3}, {4, 5, 6}},
                     .again = {{3, 4, 1}, {10, 11, 1}},
                     .encode = {Position(3), Position(4), Position(11)},
                     .tokens_kept = 9,
                     .tokens_moved = 6};
    std::vector<float> attention = std::vector<float>(12, 0.0F);
    std::vector<Position> outdated = {Position(5), Position(6), Position(7),
                                      Position(8), Position(9), Position(10)};

    RepairRequest request(int32_t budget) const {
        return {.cached = cached,
                .wanted = wanted,
                .plan = plan,
                .attention = attention,
                .outdated = outdated,
                .budget = budget};
    }
};

} // namespace

TEST_CASE("attention chooses the most looked-at of the kept tokens that are outdated") {
    Example example;
    example.attention = {90, 1, 1, 80, 70, 5, 0, 9, 0, 6, 7, 60};
    CHECK(values(repair_by_attention(example.request(2))) == std::vector{7, 10});
    CHECK(values(repair_by_attention(example.request(100))) == std::vector{5, 7, 9, 10});
    CHECK(repair_by_attention(example.request(0)).empty());
}

TEST_CASE("later occurrences of what was inserted come first, then their neighbours") {
    const Example example;
    CHECK(values(repair_later_occurrences(example.request(1))) == std::vector{9});
    CHECK(values(repair_later_occurrences(example.request(3))) == std::vector{8, 9, 10});
}

} // namespace pie
