#include "bench/serving_estimate.h"

#include <doctest/doctest.h>

namespace pie {
namespace {

const ServingSystem* system_called(std::string_view name) {
    return choose_systems(name)->back();
}

WorkloadStep typed(size_t n) {
    const std::string before(1000, 'a');
    const std::string behind(400, 'b');
    return {.state = {.text = before + std::string(n, 'c') + behind, .cursor = before.size() + n}};
}

// A token has four bytes, and takes 1 ms to encode and 10 ms to write.
WorkEstimate an_estimate() {
    return {{.encode_ms = 1, .decode_ms = 10},
            {.prefix = "<", .suffix = "|", .middle = ">", .repository = "", .file_separator = ""},
            4};
}

} // namespace

TEST_CASE("a cache that is edited encodes what changed, and a little more") {
    WorkEstimate estimate = an_estimate();
    const double first = estimate.ask_ms(*system_called("pie"), typed(0), 2);
    CHECK(first > 350 + 20);
    CHECK(first < 350 + 20 + 50);
    const double next = estimate.ask_ms(*system_called("pie"), typed(1), 2);
    CHECK(next > 20);
    CHECK(next < 20 + 50);
}

TEST_CASE("a cache that knows beginnings encodes all that is behind the first change") {
    WorkEstimate estimate = an_estimate();
    for (const char* name : {"llama.vim", "suffix-first"}) {
        CHECK(estimate.ask_ms(*system_called(name), typed(0), 0) == doctest::Approx(351).epsilon(0.01));
    }
    CHECK(estimate.ask_ms(*system_called("llama.vim"), typed(1), 0) == doctest::Approx(101).epsilon(0.02));
    CHECK(estimate.ask_ms(*system_called("suffix-first"), typed(1), 0) < 5);
}

TEST_CASE("every session has a cache of its own") {
    WorkEstimate estimate = an_estimate();
    WorkloadStep other = typed(0);
    other.session = 1;
    const ServingSystem& system = *system_called("llama.vim");
    const double first = estimate.ask_ms(system, typed(0), 0);
    CHECK(estimate.ask_ms(system, other, 0) == first);
    CHECK(estimate.ask_ms(system, other, 0) < first / 100);
}

TEST_CASE("a full recompute knows nothing") {
    WorkEstimate estimate = an_estimate();
    estimate.ask_ms(*system_called("pie"), typed(0), 0);
    CHECK(estimate.recompute_ms(typed(0), 3) == doctest::Approx(380));
}

TEST_CASE("a line for each context, and one for all") {
    const Workload& workload = *choose_workloads("typing")->front();
    const auto systems = choose_systems("all").value();
    const auto group = [&](int32_t context, double milliseconds) {
        return ServingGroup{context, 1, systems, {{&workload, context, nullptr, 6, milliseconds}}};
    };
    const std::vector<ServingGroup> groups = {group(4096, 60'000), group(1024, 10'000), group(4096, 30'000)};
    const auto lines = estimate_lines(groups);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == "1024 tokens: 1 workloads, 30 timed requests, about 10 s");
    CHECK(lines[1] == "4096 tokens: 2 workloads, 60 timed requests, about 1 min 30 s");
    CHECK(lines[2] == "in all about 1 min 40 s");
}

} // namespace pie
