#include "engine/batch_cost.h"

#include <doctest/doctest.h>

#include <initializer_list>

namespace pie {
namespace {

TEST_CASE("nothing is promised before a batch ran") {
    CHECK(BatchCost().tokens_within(1000) == 0);
}

TEST_CASE("a straight line is found from batches of several sizes") {
    BatchCost cost;
    for (const int32_t n : {1, 8, 1, 20, 33, 1, 1, 12}) {
        cost.record(n, 20 + 5.0 * n);
    }
    CHECK(cost.tokens_within(20 + 5.0 * 16.5) == 16);
    CHECK(cost.tokens_within(20 + 5.0 * 40.5) == 40);
    CHECK(cost.tokens_within(10) == 0);
    CHECK(cost.tokens_within(20 + 5.0 * 1000.5) == 1000);
}

TEST_CASE("from batches of one token, a token more is taken to cost half of that") {
    BatchCost cost;
    for (int i = 0; i < 10; ++i) {
        cost.record(1, 20);
    }
    CHECK(cost.tokens_within(20 + 10 * 3.5) == 4);
}

TEST_CASE("what a token more costs is told as a share of a batch of one") {
    BatchCost cost;
    CHECK(cost.share_of_token() == doctest::Approx(0.5));
    cost.record(1, 20);
    CHECK(cost.share_of_token() == doctest::Approx(0.5));
    for (const int32_t n : {1, 8, 1, 20, 33, 1, 1, 12}) {
        cost.record(n, 15 + 5.0 * n);
    }
    CHECK(cost.share_of_token() == doctest::Approx(0.25));
    for (int i = 0; i < 1000; ++i) { // those of several sizes are forgotten
        cost.record(1, 30);
    }
    CHECK(cost.share_of_token() == doctest::Approx(0.5));
}

TEST_CASE("a machine that became slower is believed after some batches") {
    BatchCost cost;
    for (int i = 0; i < 50; ++i) {
        cost.record(1 + i % 16, 10 + 1.0 * (1 + i % 16));
    }
    CHECK(cost.tokens_within(40.5) == 30);
    for (int i = 0; i < 400; ++i) {
        cost.record(1 + i % 16, 20 + 2.0 * (1 + i % 16));
    }
    CHECK(cost.tokens_within(41) == 10);
}

TEST_CASE("large batches tell nothing about small ones") {
    BatchCost cost;
    cost.record(512, 100);
    CHECK(cost.tokens_within(1000) == 0);
}

TEST_CASE("times that fall with the size do not make tokens free") {
    BatchCost cost;
    cost.record(1, 30);
    cost.record(16, 20);
    CHECK(cost.tokens_within(50) < 1000);
    CHECK(cost.tokens_within(0) == 0);
}

} // namespace
} // namespace pie
