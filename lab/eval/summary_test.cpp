#include "eval/summary.h"

#include <doctest/doctest.h>

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
    m.loss = 1 + kl;
    m.line_match = kl < 1 ? 1 : 0;
    m.edit_similarity = 100 - 10 * kl;
    m.language = "python";
    m.setting = row == "3" ? "in_file" : "cross_file_first";
    m.key_cosines = {1, 1 - kl / 10};
    m.value_cosines = {1, 0.5};
    m.tokens_after = 100;
    m.tokens_encoded = 20;
    m.milliseconds = 8;
    return m;
}

// Rows 1 and 2 have full recompute beside them, row 3 has none; one is tested.
std::vector<Measurement> sample() {
    Measurement failed = made("4", "rename", "pie", 0);
    failed.failure = "too long";
    Measurement all_failed = made("1", "jump", "pie", 0);
    all_failed.failure = "too long";
    Measurement tested = made("2", "rename", "full", 0);
    tested.passed = true;
    Measurement tested_pie = made("2", "rename", "pie", 1.5);
    tested_pie.passed = false;
    return {made("1", "rename", "full", 0),
            all_failed,
            made("1", "rename", "pie", 0.5),
            tested_pie,
            tested,
            failed,
            made("3", "rename", "pie", 2.5)};
}

} // namespace

TEST_CASE("means, paired differences and counts of a known sample") {
    const std::vector<Summary> summaries = summarise(sample(), Grouping::edit);
    REQUIRE(summaries.size() == 3);
    CHECK(summaries[0].kind == "rename");
    CHECK(summaries[0].method == "full");
    CHECK(summaries[0].n_rows == 2);
    const Summary& pie = summaries[1];
    CHECK(pie.method == "pie");
    CHECK(pie.n_rows == 3);
    CHECK(pie.n_failed == 1);
    CHECK(pie.kl.mean == doctest::Approx(1.5));
    CHECK(pie.kl.low == 0.5); // 1 of 27 resamples holds the least alone, more than a fortieth
    CHECK(pie.kl.high == 2.5);
    CHECK(pie.kl_first.mean == doctest::Approx(0.75));
    CHECK(pie.exact_match.mean == doctest::Approx(1.0 / 3));
    // Over rows 1 and 2, which have a full recompute: 1 against 1, 0 against 1.
    CHECK(pie.exact_match_to_full.mean == doctest::Approx(-0.5));
    CHECK(pie.line_match_to_full.mean == doctest::Approx(-0.5));
    CHECK(pie.edit_similarity.mean == doctest::Approx(85));
    CHECK(pie.edit_similarity_to_full.mean == doctest::Approx(-10));
    CHECK(pie.loss.mean == doctest::Approx(2.5));
    CHECK(pie.loss_to_full.mean == doctest::Approx(1.0));
    CHECK(pie.n_tested == 1);
    CHECK(pie.passed.mean == 0);
    CHECK(pie.passed_to_full.mean == -1);
    CHECK(pie.top1_agreement.mean == doctest::Approx(0.5));
    CHECK(pie.tokens_after == 100);
    CHECK(pie.tokens_encoded == 20);
    CHECK(pie.milliseconds == 8);
    REQUIRE(pie.key_cosines.size() == 2);
    CHECK(pie.key_cosines[1] == doctest::Approx(0.85));
    CHECK(pie.value_cosines[1] == doctest::Approx(0.5));
    CHECK(summaries[2].kind == "jump");
    CHECK(summaries[2].n_rows == 0);
    CHECK(summaries[2].n_failed == 1);
    CHECK(summarise({}, Grouping::edit).empty());
}

TEST_CASE("by setting, rows of one setting alone are together") {
    const std::vector<Summary> summaries = summarise(sample(), Grouping::edit_in_setting);
    std::vector<std::string> names;
    for (const Summary& s : summaries) {
        names.push_back(s.setting + " " + s.kind + " " + s.method);
        CHECK(s.language == "python");
    }
    CHECK(names == std::vector<std::string>{"cross_file_first rename full", "cross_file_first rename pie",
                                            "cross_file_first jump pie", "in_file rename pie"});
    CHECK(summaries[1].kl.mean == doctest::Approx(1.0));
}

} // namespace pie
