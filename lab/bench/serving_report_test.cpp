#include "bench/serving_report.h"
#include "bench/serving_tables.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pie {
namespace {

ServingMeasurement measured(std::string system, std::vector<double> first_ms) {
    ServingMeasurement m;
    m.conditions.model = "m.gguf";
    m.conditions.commit = "abc";
    m.workload = "typing";
    m.context = 4096;
    m.system = std::move(system);
    m.first_ms = std::move(first_ms);
    m.total_ms = m.first_ms;
    std::ranges::for_each(m.total_ms, [](double& ms) { ms += 200; });
    m.prompt_ms = m.first_ms;
    m.tokens_encoded.assign(m.first_ms.size(), 5);
    m.tokens_context.assign(m.first_ms.size(), 4100);
    m.tokens_written.assign(m.first_ms.size(), 11);
    return m;
}

std::vector<ServingMeasurement> a_run() {
    return {measured("limit", {10, 10, 10}), measured("suffix-first", {50, 60, 300}),
            measured("llama.vim", {400, 100, 200}), measured("pie", {11, 12, 20})};
}

} // namespace

TEST_CASE("the median, and the largest of few") {
    CHECK(quantiles_of({}).p50 == 0);
    CHECK(quantiles_of({3, 1, 2}).p50 == 2);
    CHECK(quantiles_of({3, 1, 2}).p99 == 3);
}

TEST_CASE("ratios are to the limit, and to llama-server's best setting at each quantile") {
    const auto cells = summarise_serving(a_run());
    REQUIRE(cells.size() == 1);
    const ServingCell& cell = cells.front();
    CHECK(cell.best == "suffix-first");
    CHECK(cell.over_limit->p50 == doctest::Approx(1.2));
    CHECK(cell.sooner->p50 == doctest::Approx(5));
    CHECK(cell.sooner->p99 == doctest::Approx(15)); // 300 over 20, where llama.vim has 400
    CHECK(cell.sooner_as_used->p50 == doctest::Approx(200.0 / 12));
    CHECK(cell.sooner_as_used->p99 == doctest::Approx(20));
    REQUIRE(cell.systems.size() == 4);
    CHECK(cell.systems.front().system == "pie");
    CHECK(cell.systems.back().system == "limit");
}

TEST_CASE("what is written behind the first token, what is not encoded, and energy") {
    ServingMeasurement m = measured("pie", {10, 10, 500});
    m.total_ms[2] = 500; // an answer without text
    m.tokens_written[2] = 0;
    m.tokens_encoded = {41, 0, 4100};
    SystemSummary summary = summarise_serving(std::span(&m, 1))[0].systems[0];
    CHECK(summary.decode_tokens_per_s == doctest::Approx(50)); // ten in 200 ms, twice
    CHECK(summary.saved == doctest::Approx(0.99));
    CHECK_FALSE(summary.joules);
    m.tokens_encoded = {4101, 4101, 4101};
    CHECK(summarise_serving(std::span(&m, 1))[0].systems[0].saved == 0);
    m.joules = {3, 1, 2};
    CHECK(summarise_serving(std::span(&m, 1))[0].systems[0].joules == 2);
}

TEST_CASE("the ratio to the limit is of the steps that have one") {
    const std::vector<ServingMeasurement> run = {measured("limit", {0, 50, 0}), measured("pie", {1, 60, 2})};
    const auto cells = summarise_serving(run);
    REQUIRE(cells.size() == 1);
    CHECK(cells[0].over_limit->p50 == doctest::Approx(1.2));
    CHECK(cells[0].systems.back().first_ms.p50 == 50);
    const std::vector<ServingMeasurement> nothing = {measured("limit", {0, 0}), measured("pie", {1, 2})};
    CHECK_FALSE(summarise_serving(nothing)[0].over_limit);
}

TEST_CASE("without others there are no ratios") {
    const std::vector<ServingMeasurement> alone = {measured("pie", {1})};
    const auto cells = summarise_serving(alone);
    REQUIRE(cells.size() == 1);
    CHECK_FALSE(cells[0].sooner);
    CHECK_FALSE(cells[0].sooner_as_used);
    CHECK_FALSE(cells[0].over_limit);
    CHECK(cells[0].best.empty());
    const std::string tables = serving_tables(cells);
    CHECK(tables.find("typing") != std::string::npos);
}

TEST_CASE("a cell that was measured again holds nothing of the first time") {
    std::vector<ServingMeasurement> runs = a_run();
    ServingMeasurement again = measured("pie", {6});
    again.conditions.commit = "def";
    runs.push_back(again);
    const auto cells = summarise_serving(runs);
    REQUIRE(cells.size() == 1);
    CHECK(cells[0].conditions.commit == "def");
    CHECK(cells[0].systems.size() == 1);
}

TEST_CASE("contexts ascend, and workloads are in the order of their table") {
    std::vector<ServingMeasurement> runs;
    for (const int32_t context : {4096, 1024}) {
        for (const char* workload : {"rename", "typing", "open"}) {
            ServingMeasurement m = measured("pie", {1});
            m.context = context;
            m.workload = workload;
            runs.push_back(m);
        }
    }
    std::string order;
    for (const ServingCell& cell : summarise_serving(runs)) {
        order += std::to_string(cell.context) + cell.workload + " ";
    }
    CHECK(order == "1024open 1024typing 1024rename 4096open 4096typing 4096rename ");
}

TEST_CASE("tables for people and lines for programs") {
    const auto cells = summarise_serving(a_run());
    const std::string tables = serving_tables(cells);
    CHECK(tables.find("| 12.0 / 20.0 ") != std::string::npos);
    CHECK(tables.find("| 200 / 400 ") != std::string::npos);
    CHECK(tables.find("| 1.20 ") != std::string::npos);
    CHECK(tables.find("| 1.67 ") != std::string::npos);        // 20 over 12
    CHECK(tables.find("| 99.9 %") != std::string::npos);       // 5 of 4,100 encoded
    CHECK(tables.find("| 16.7 / 20.0 ") != std::string::npos); // than llama.vim, which is not the quickest
    CHECK(tables.find("| 5.0 / 15.0 ") != std::string::npos);
    CHECK(tables.find("| not told ") != std::string::npos);
    CHECK(tables.find("| not measured ") != std::string::npos); // of the figures
    const std::string lines = serving_lines(cells);
    CHECK(lines.find(R"("best":"suffix-first")") != std::string::npos);
    CHECK(lines.find(R"("first_ms":{"p50":12.0,"p99":20.0})") != std::string::npos);
    CHECK(lines.find(R"("sooner":{"p50":5.0,"p99":15.0})") != std::string::npos);
    CHECK(lines.find(R"("joules":null)") != std::string::npos);
}

TEST_CASE("a ratio that fell by more than the tolerance is told") {
    const auto before = summarise_serving(a_run());
    std::vector<ServingMeasurement> slower = a_run();
    slower.back() = measured("pie", {14, 14, 14}); // 60 / 14 = 4.3 times sooner, not 5
    const auto after = summarise_serving(slower);
    const auto strict = compare_serving(before, after, 0.1);
    REQUIRE(strict.size() == 1);
    CHECK(strict[0].fell);
    CHECK(strict[0].before == doctest::Approx(5));
    CHECK(strict[0].name == "typing at 4096 tokens of m.gguf");
    CHECK_FALSE(compare_serving(before, after, 0.2)[0].fell);
    CHECK_FALSE(compare_serving(after, before, 0)[0].fell);
    std::vector<ServingMeasurement> elsewhere = a_run();
    for (ServingMeasurement& m : elsewhere) {
        m.context = 1024;
    }
    CHECK(compare_serving(before, summarise_serving(elsewhere), 0.1).empty());
}

} // namespace pie
