#include "bench/serving_figures.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pie {
namespace {

SystemSummary taken(std::string system, Quantiles first_ms) {
    SystemSummary summary;
    summary.system = std::move(system);
    summary.n_steps = 10;
    summary.first_ms = first_ms;
    summary.saved = 0.995;
    summary.decode_tokens_per_s = 20;
    return summary;
}

// Everything is as it is asked for.
ServingCell cell(std::string workload, int32_t context) {
    ServingCell made;
    made.workload = std::move(workload);
    made.context = context;
    made.systems = {taken("pie", {10, 12}), taken("llama.vim", {5000, 5000}), taken("limit", {9, 9})};
    made.systems[2].decode_tokens_per_s = 0;
    made.over_limit = Quantiles{1.05, 1.4};
    made.sooner = Quantiles{300, 300};
    made.sooner_as_used = Quantiles{500, 400};
    return made;
}

MeasuredFigure figure(std::string_view words, const std::vector<ServingCell>& cells) {
    for (const MeasuredFigure& measured : measure_figures(cells)) {
        if (measured.figure->what.find(words) != std::string_view::npos) {
            return measured;
        }
    }
    FAIL("there is no figure of ", words);
    return {};
}

std::vector<ServingCell> all_cells() {
    return {cell("typing", 4096),           cell("line", 4096),
            cell("insert-1-at-1/4", 4096),  cell("insert-16-at-1/4", 4096),
            cell("insert-16-at-3/4", 4096), cell("insert-16-at-1/4", 8192)};
}

} // namespace

TEST_CASE("results that are good enough meet every figure") {
    const auto measured = measure_figures(all_cells());
    CHECK(measured.size() == figures().size());
    for (const MeasuredFigure& entry : measured) {
        CAPTURE(entry.figure->what);
        CHECK(entry.worst);
        CHECK(entry.is_met);
    }
}

TEST_CASE("what was not measured is not met") {
    for (const MeasuredFigure& entry : measure_figures({})) {
        CHECK_FALSE(entry.worst);
        CHECK_FALSE(entry.is_met);
    }
    CHECK(figures_table({}).find("not measured") != std::string::npos);
    // Typing at another length of context says nothing about 4k.
    CHECK_FALSE(figure("typing at 4k", {cell("typing", 1024)}).worst);
    // One step has no spread.
    ServingCell once = cell("open", 4096);
    once.systems[0].n_steps = 1;
    once.systems[2].n_steps = 1;
    CHECK_FALSE(figure("whatever a step", {once}).worst);
    CHECK_FALSE(figure("the same, p99 over p50", {once}).worst);
    // An interrupted run may have written the limit and not ours.
    ServingCell limit_alone = cell("typing", 4096);
    limit_alone.systems = {taken("limit", {9, 9})};
    limit_alone.over_limit.reset();
    CHECK_FALSE(figure("over the limit", {limit_alone}).worst);
    CHECK_FALSE(figure("the same, p99 over p50", {limit_alone}).worst);
}

TEST_CASE("the worst cell counts, and is named") {
    std::vector<ServingCell> cells = all_cells();
    cells[2].sooner = Quantiles{99, 300};
    cells[3].over_limit = Quantiles{1.2, 1.3};
    cells[5].over_limit = Quantiles{1, 1.7};
    cells[4].systems[0].first_ms = {10, 16};
    cells[4].sooner = Quantiles{19, 300};
    cells[5].sooner = Quantiles{150, 300};
    CHECK(figure("1/4 of 4k", cells).worst == 99);
    CHECK(figure("1/4 of 4k", cells).where == "insert-1-at-1/4 at 4096 tokens");
    CHECK_FALSE(figure("1/4 of 4k", cells).is_met);
    CHECK_FALSE(figure("1/4 of 8k", cells).is_met);
    CHECK(figure("over the limit", cells).worst == 1.2);
    CHECK_FALSE(figure("over the limit", cells).is_met);
    CHECK(figure("whatever a step", cells).worst == doctest::Approx(1.6));
    CHECK_FALSE(figure("whatever a step", cells).is_met);
    CHECK(figure("the same, p99 over p50", cells).worst == doctest::Approx(1.7));
    CHECK_FALSE(figure("the same, p99 over p50", cells).is_met);
    CHECK(figure("1,000 tokens behind", cells).worst == 19);
    CHECK(figure("typing at 4k", cells).is_met);
}

TEST_CASE("typing is compared with llama-server as editors use it") {
    ServingCell typing = cell("typing", 4096);
    typing.sooner = Quantiles{1, 1};
    CHECK(figure("typing at 4k", {typing}).is_met);
    typing.sooner_as_used = Quantiles{30, 9};
    CHECK(figure("typing at 4k", {typing}).is_met);
    CHECK_FALSE(figure("the same, p99", {typing}).is_met);
}

TEST_CASE("tokens saved are those of small edits") {
    ServingCell large = cell("insert-64-at-1/4", 4096);
    large.systems[0].saved = 0.9;
    CHECK_FALSE(figure("tokens saved", {large}).worst);
    ServingCell small = cell("delete-16-at-1/2", 4096);
    small.systems[0].saved = 0.98;
    CHECK_FALSE(figure("tokens saved", {small}).is_met);
    CHECK(figures_table(std::vector<ServingCell>{small}).find("| 98 % ") != std::string::npos);
}

TEST_CASE("decoding is compared with the mean of the others") {
    ServingCell both = cell("typing", 4096);
    both.systems[1].decode_tokens_per_s = 10;
    both.systems.push_back(taken("suffix-first", {1, 1}));
    both.systems.back().decode_tokens_per_s = 40;
    CHECK(figure("decoding", {both}).worst == doctest::Approx(0.8));
    CHECK_FALSE(figure("decoding", {both}).is_met);
}

} // namespace pie
