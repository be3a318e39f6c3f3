#include "base/test_fixtures.h"
#include "eval/results.h"

#include <doctest/doctest.h>

#include <fstream>

namespace pie {
namespace {

Measurement made(const std::string& row, double kl) {
    Measurement m;
    m.key = {.model = "m", .row = row, .digest = "0123456789abcdef", .method = "pie+seam:4"};
    m.kind = "rename";
    m.language = "c";
    m.tokens_before = 10;
    m.tokens_after = 12;
    m.tokens_scored = 5;
    m.kl = kl;
    m.kl_first = 1e-17;
    m.top1_agreement = 0.8;
    m.exact_match = 1;
    m.loss = 0.1;
    m.setting = "in_file";
    m.n_edits = 20;
    m.line_match = 1;
    m.edit_similarity = 93;
    m.flops = 1.5e9;
    m.prediction = "    \"é\" = 1";
    m.target = "    e = 1";
    m.edit = "-a\n+\"é\"\n";
    m.key_cosines = {1, 0.12345};
    m.value_cosines = {0.5, -1};
    m.tokens_encoded = 6;
    m.milliseconds = 12.75;
    return m;
}

std::string read(const std::filesystem::path& path) {
    return *read_file(path, 1 << 20);
}

void append(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

} // namespace

TEST_CASE("a measurement comes back as it was written") {
    const Measurement m = made("a \"row\"", 1.0 / 3);
    const auto back = parse_measurement(measurement_line(m), "here:1");
    REQUIRE(back.has_value());
    CHECK(back->key == m.key);
    CHECK(back->kind == "rename");
    CHECK(back->language == "c");
    CHECK(!back->failed());
    CHECK(back->edit == "-a\n+\"é\"\n");
    CHECK(back->tokens_before == 10);
    CHECK(back->tokens_after == 12);
    CHECK(back->tokens_scored == 5);
    CHECK(back->kl == 1.0 / 3);
    CHECK(back->kl_first == 1e-17);
    CHECK(back->top1_agreement == 0.8);
    CHECK(back->exact_match == 1);
    CHECK(back->loss == 0.1);
    CHECK(back->setting == "in_file");
    CHECK(back->n_edits == 20);
    CHECK(back->line_match == 1);
    CHECK(back->edit_similarity == 93);
    CHECK(back->flops == 1.5e9);
    CHECK(back->prediction == m.prediction);
    CHECK(back->target == m.target);
    CHECK(back->key_cosines == m.key_cosines);
    CHECK(back->value_cosines == m.value_cosines);
    CHECK(!back->passed.has_value());
    Measurement tested = m;
    tested.passed = true;
    CHECK(parse_measurement(measurement_line(tested), "here:1")->passed == true);
    CHECK(back->tokens_encoded == 6);
    CHECK(back->milliseconds == 12.75);

    Measurement failed = made("b", 0);
    failed.failure = "too long";
    CHECK(parse_measurement(measurement_line(failed), "here:1")->failure == "too long");
}

TEST_CASE("results last, the later line counts, and a line cut off is dropped") {
    const ScratchFolder folder;
    const std::filesystem::path path = folder.path / "results.jsonl";
    {
        Results results = *Results::open(path);
        REQUIRE(results.add(made("a", 1)).has_value());
        Measurement failed = made("b", 0);
        failed.failure = "too long";
        REQUIRE(results.add(failed).has_value());
        CHECK(results.find_success(failed.key) == nullptr);
        CHECK(results.find(failed.key)->failure == "too long");
        REQUIRE(results.add(made("a", 2)).has_value());
    }
    const std::string whole = read(path);
    const std::string torn = measurement_line(made("c", 3));
    append(path, torn.substr(0, torn.size() / 2));
    {
        Results results = *Results::open(path);
        CHECK(read(path) == whole);
        CHECK(results.find_success(made("a", 0).key)->kl == 2);
        CHECK(results.find_success(made("b", 0).key) == nullptr);
        CHECK(results.find(made("c", 0).key) == nullptr);
        REQUIRE(results.add(made("b", 4)).has_value());
    }
    append(path, "{");
    const Results results = *Results::open(path);
    CHECK(results.find_success(made("b", 0).key)->kl == 4);
}

TEST_CASE("somebody else's file is refused and left alone") {
    const ScratchFolder folder;
    for (const std::string text : {"notes\n", "notes", "{\"model\": 3}\n", "{}\n", "{\"model\": \"torn"}) {
        CAPTURE(text);
        const std::filesystem::path path = folder.path / "notes";
        std::filesystem::remove(path);
        append(path, text);
        const auto results = Results::open(path);
        REQUIRE(!results.has_value());
        CHECK(results.error().code == ErrorCode::corrupt);
        CHECK(results.error().message.find("--out") != std::string::npos);
        CHECK(read(path) == text);
    }
    CHECK(Results::open(folder.path / "none" / "results.jsonl").error().code == ErrorCode::not_found);
}

TEST_CASE("without a file results are kept in memory") {
    Results results;
    REQUIRE(results.add(made("a", 1)).has_value());
    CHECK(results.find_success(made("a", 0).key)->kl == 1);
}

} // namespace pie
