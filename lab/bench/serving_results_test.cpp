#include "base/test_fixtures.h"
#include "bench/serving_results.h"

#include <doctest/doctest.h>

#include <fstream>

namespace pie {
namespace {

ServingMeasurement some_measurement() {
    ServingMeasurement m;
    m.conditions = {.commit = "abc",
                    .model = "m.gguf",
                    .fingerprint = "f00",
                    .llama_server = "0.5.0",
                    .machine = "some \"processor\"",
                    .n_threads = 2,
                    .n_predict = 32,
                    .seed = 7};
    m.workload = "typing";
    m.context = 4096;
    m.system = "pie";
    m.document = "d1";
    m.n_steps = 2;
    m.date = "2026-01-02T03:04:05Z";
    m.first_ms = {1.5, 2.25};
    m.total_ms = {10, 20};
    m.prompt_ms = {1, 2};
    m.tokens_encoded = {3, 4};
    m.tokens_context = {100, 101};
    m.tokens_written = {32, 5};
    m.joules = {1.25, 0.5};
    m.n_checked = 1;
    m.equal_first_lines = 1;
    m.equal_tokens = 0.5;
    m.peak_memory_bytes = 123'456'789;
    return m;
}

} // namespace

TEST_CASE("a line gives back what was measured") {
    const ServingMeasurement before = some_measurement();
    const std::string line = measurement_line(before);
    CHECK(line.find('\n') == std::string::npos);
    const auto after = parse_serving_measurement(line, "file:1");
    REQUIRE(after);
    CHECK(after->conditions == before.conditions);
    CHECK(after->workload == "typing");
    CHECK(after->context == 4096);
    CHECK(after->first_ms == before.first_ms);
    CHECK(after->prompt_ms == before.prompt_ms);
    CHECK(after->tokens_encoded == before.tokens_encoded);
    CHECK(after->joules == before.joules);
    CHECK(after->equal_tokens == 0.5);
    CHECK(after->peak_memory_bytes == 123'456'789);
    CHECK(measurement_line(*after) == line);
}

TEST_CASE("lines of a time when nobody asked for joules are results as well") {
    std::string line = measurement_line(some_measurement());
    const std::string joules = R"("joules":[1.25,0.5],)";
    REQUIRE(line.find(joules) != std::string::npos);
    line.erase(line.find(joules), joules.size());
    const auto measurement = parse_serving_measurement(line, "file:1");
    REQUIRE(measurement);
    CHECK(measurement->joules.empty());
    CHECK(measurement->n_checked == 1);
}

TEST_CASE("what is no line") {
    for (const char* line : {"", "{}", "nonsense", R"({"commit":"abc"})"}) {
        const auto parsed = parse_serving_measurement(line, "file:3");
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().message.starts_with("file:3"));
    }
}

TEST_CASE("results outlive the program, and a line that was cut off is dropped") {
    const ScratchFolder scratch;
    const auto folder = scratch.path / "results";
    ServingMeasurement other = some_measurement();
    other.system = "limit";
    {
        auto results = ServingResults::open(folder);
        REQUIRE(results);
        REQUIRE(results->add(some_measurement()));
    }
    const auto file = folder / "serving.jsonl";
    std::ofstream(file, std::ios::app) << measurement_line(other).substr(0, 40);
    {
        auto results = ServingResults::open(folder);
        REQUIRE(results);
        CHECK(results->all().size() == 1);
        CHECK(results->holds(some_measurement()));
        CHECK_FALSE(results->holds(other));
        REQUIRE(results->add(other));
    }
    const auto read = ServingResults::read(folder);
    REQUIRE(read);
    CHECK(read->all().size() == 2);
    CHECK(read->holds(other));
}

TEST_CASE("other conditions, documents and numbers of steps are other measurements") {
    ServingResults results;
    REQUIRE(results.add(some_measurement()));
    const auto changed = [](const auto& change) {
        ServingMeasurement m = some_measurement();
        change(m);
        return m;
    };
    CHECK(results.holds(changed([](auto& m) { m.date = "later"; })));
    CHECK_FALSE(results.holds(changed([](auto& m) { m.conditions.commit = "def"; })));
    CHECK_FALSE(results.holds(changed([](auto& m) { m.conditions.seed = 8; })));
    CHECK_FALSE(results.holds(changed([](auto& m) { m.document = "d2"; })));
    CHECK_FALSE(results.holds(changed([](auto& m) { m.n_steps = 3; })));
    CHECK_FALSE(results.holds(changed([](auto& m) { m.context = 1024; })));
}

TEST_CASE("somebody else's file is left alone") {
    const ScratchFolder scratch;
    const auto file = scratch.path / "serving.jsonl";
    std::ofstream(file) << "a letter";
    CHECK_FALSE(ServingResults::open(scratch.path));
    CHECK(std::filesystem::file_size(file) == 8);
    CHECK(ServingResults::read(scratch.path / "none").error().code == ErrorCode::not_found);
}

} // namespace pie
