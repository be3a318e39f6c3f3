#include "eval/report.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace pie {
namespace {

Measurement made(const std::string& row, const std::string& kind, const std::string& method, double kl) {
    Measurement m;
    m.key = {.model = "m", .row = row, .digest = "", .method = method};
    m.kind = kind;
    m.kl = kl;
    m.kl_first = kl / 2;
    m.top1_agreement = 0.5;
    m.exact_match = kl < 1 ? 1 : 0;
    m.full_exact_match = 1;
    m.loss = 1 + kl;
    m.full_loss = 1.5;
    m.tokens_after = 100;
    m.tokens_encoded = 20;
    m.milliseconds = 8;
    return m;
}

std::vector<Measurement> sample() {
    Measurement failed = made("4", "rename", "pie", 0);
    failed.failure = "too long";
    Measurement all_failed = made("1", "jump", "pie", 0);
    all_failed.failure = "too long";
    return {made("1", "rename", "full", 0),  all_failed, made("1", "rename", "pie", 0.5),
            made("2", "rename", "pie", 1.5), failed,     made("3", "rename", "pie", 2.5)};
}

} // namespace

TEST_CASE("means, paired differences and counts of a known sample") {
    const std::vector<Summary> summaries = summarise(sample());
    REQUIRE(summaries.size() == 3);
    CHECK(summaries[0].kind == "rename");
    CHECK(summaries[0].method == "full");
    CHECK(summaries[0].n_rows == 1);
    const Summary& pie = summaries[1];
    CHECK(pie.method == "pie");
    CHECK(pie.n_rows == 3);
    CHECK(pie.n_failed == 1);
    CHECK(pie.kl.mean == doctest::Approx(1.5));
    CHECK(pie.kl.low == 0.5); // 1 of 27 resamples holds the least alone, more than a fortieth
    CHECK(pie.kl.high == 2.5);
    CHECK(pie.kl_first.mean == doctest::Approx(0.75));
    CHECK(pie.exact_match.mean == doctest::Approx(1.0 / 3));
    CHECK(pie.exact_match_to_full.mean == doctest::Approx(-2.0 / 3));
    CHECK(pie.loss.mean == doctest::Approx(2.5));
    CHECK(pie.loss_to_full.mean == doctest::Approx(1.0));
    CHECK(pie.top1_agreement.mean == doctest::Approx(0.5));
    CHECK(pie.tokens_after == 100);
    CHECK(pie.tokens_encoded == 20);
    CHECK(pie.milliseconds == 8);
    CHECK(summaries[2].kind == "jump");
    CHECK(summaries[2].n_rows == 0);
    CHECK(summaries[2].n_failed == 1);
    CHECK(summarise({}).empty());
}

TEST_CASE("the table names what it shows, and what failed") {
    const std::string table = summary_table(summarise(sample()));
    CAPTURE(table);
    for (const char* part : {"rename", "jump", "pie", "full", "1.5000 [0.5000, 2.5000]", "1 failed",
                             "no figures", "100 tokens"}) {
        CAPTURE(part);
        CHECK(table.find(part) != std::string::npos);
    }
}

TEST_CASE("each line for programs is a JSON object with the figures that there are") {
    const std::string lines = summary_lines(summarise(sample()));
    std::vector<nlohmann::json> objects;
    for (size_t begin = 0; begin < lines.size();) {
        const size_t end = lines.find('\n', begin);
        objects.push_back(nlohmann::json::parse(lines.substr(begin, end - begin)));
        begin = end + 1;
    }
    REQUIRE(objects.size() == 3);
    CHECK(objects[1]["model"] == "m");
    CHECK(objects[1]["kind"] == "rename");
    CHECK(objects[1]["method"] == "pie");
    CHECK(objects[1]["rows"] == 3);
    CHECK(objects[1]["failed"] == 1);
    CHECK(objects[1]["kl"]["mean"].get<double>() == doctest::Approx(1.5));
    CHECK(objects[1]["loss_to_full"]["mean"].get<double>() == doctest::Approx(1.0));
    CHECK(objects[1]["ms"] == 8);
    CHECK(!objects[2].contains("kl"));
    CHECK(objects[2]["failed"] == 1);
}

} // namespace pie
