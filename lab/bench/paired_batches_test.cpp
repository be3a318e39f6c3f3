#include "base/interrupt.h"
#include "bench/paired_batches.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <csignal>

namespace pie {
namespace {

const PairedBatchOptions options = {
    .sizes = {16, 1}, .n_before = 32, .n_threads = 1, .n_rounds = 3, .n_repetitions = 2};

} // namespace

TEST_CASE("both models are timed at each size, in each round") {
    const auto first = testing::load_tiny_model({});
    const auto second = testing::load_tiny_model({.seed = 2});
    std::vector<PairedBatch> batches;
    Progress progress;
    REQUIRE(measure_paired_batches(*first, *second, options, batches, progress).has_value());
    REQUIRE(batches.size() == 2);
    CHECK(batches[0].n_tokens == 16);
    CHECK(batches[1].n_tokens == 1);
    for (const PairedBatch& batch : batches) {
        CHECK(batch.first_ms.size() == 3);
        CHECK(batch.second_ms.size() == 3);
        CHECK(batch.first_tokens_per_s() > 0);
        CHECK(batch.second_tokens_per_s() > 0);
    }
}

TEST_CASE("rates are of the median round") {
    const PairedBatch batch = {.n_tokens = 8, .first_ms = {100, 4, 2}, .second_ms = {1, 2, 50}};
    CHECK(batch.first_tokens_per_s() == doctest::Approx(2000));
    CHECK(batch.second_tokens_per_s() == doctest::Approx(4000));
}

TEST_CASE("an interrupted round counts for neither") {
    const auto model = testing::load_tiny_model({});
    std::vector<PairedBatch> batches;
    Progress progress;
    install_interrupt_handlers();
    std::raise(SIGINT);
    const auto stopped = measure_paired_batches(*model, *model, options, batches, progress);
    clear_interrupt();
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == ErrorCode::cancelled);
    REQUIRE(batches.size() == 2);
    CHECK(batches[0].first_ms.empty());
    CHECK(batches[0].second_ms.empty());
}

} // namespace pie
