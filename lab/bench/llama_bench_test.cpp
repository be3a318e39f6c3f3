#include "bench/llama_bench.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("llama-bench's JSON: one test for prefill, one for decode") {
    const auto figures = parse_llama_bench(
        R"([{"n_prompt": 512, "n_gen": 0, "avg_ts": 160.5}, {"n_prompt": 0, "n_gen": 32, "avg_ts": 30.25}])");
    REQUIRE(figures.has_value());
    CHECK(figures->prefill_tokens_per_s == 160.5);
    CHECK(figures->decode_tokens_per_s == 30.25);
}

TEST_CASE("output without figures is an error") {
    for (const char* output : {"", "not json", "{}", "[]", R"([{"n_gen": 0, "avg_ts": 1.0}])"}) {
        CAPTURE(output);
        const auto figures = parse_llama_bench(output);
        REQUIRE_FALSE(figures.has_value());
        CHECK(figures.error().code == ErrorCode::corrupt);
    }
}

TEST_CASE("a program that is not there") {
    const auto figures = run_llama_bench("no/such/llama-bench", "model.gguf", 1, 0);
    REQUIRE_FALSE(figures.has_value());
    CHECK(figures.error().code == ErrorCode::not_found);
}

} // namespace pie
