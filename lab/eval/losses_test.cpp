// Losses of a handful of rows, against an order worked out by hand.

#include "eval/losses.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace pie {
namespace {

Measurement made(const std::string& row, const std::string& kind, const std::string& method, double match,
                 double kl) {
    Measurement m;
    m.key = {.model = "tiny", .row = row, .digest = "", .method = method};
    m.kind = kind;
    m.line_match = match;
    m.kl = kl;
    return m;
}

// Both methods on one row.
void add(std::vector<Measurement>& all, const std::string& row, const std::string& kind, double full,
         double pie, double kl) {
    all.push_back(made(row, kind, "full", full, 0));
    all.push_back(made(row, kind, "pie", pie, kl));
}

} // namespace

TEST_CASE("the worst rows, of different kinds; what was lost counts more than a large distance") {
    std::vector<Measurement> all;
    add(all, "1", "rename", 1, 0, 0.5);
    add(all, "2", "rename", 1, 0, 0.75); // the worst
    add(all, "3", "typing", 1, 1, 9);    // far, but right
    add(all, "4", "typing", 0, 0, 4);    // neither was
    add(all, "5", "insertion", 0, 1, 5); // won
    add(all, "6", "insertion", 1, 0, 0.25);
    add(all, "7", "deletion", 1, 1, 0.125);
    all.push_back(made("8", "jump", "pie", 0, 99)); // nothing to compare with
    all.push_back(made("3", "typing", "cfe", 0, 99));
    const std::vector<Losses> losses = find_losses(all);
    REQUIRE(losses.size() == 1);
    CHECK(losses[0].method == "pie");
    REQUIRE(losses[0].examples.size() == 3);
    CHECK(losses[0].examples[0].own.key.row == "2");
    CHECK(losses[0].examples[0].full.key.method == "full");
    CHECK(losses[0].examples[1].own.key.row == "6");
    CHECK(losses[0].examples[2].own.key.row == "3");
    std::vector<std::string> kinds;
    for (const KindLosses& kind : losses[0].kinds) {
        kinds.push_back(kind.kind);
    }
    CHECK(kinds == std::vector<std::string>{"rename", "typing", "insertion", "deletion"});
    CHECK(losses[0].kinds[0].n_lost == 2);
    CHECK(losses[0].kinds[0].kl == 0.625);
    CHECK(losses[0].kinds[2].n_lost == 1);
    CHECK(losses[0].kinds[2].n_won == 1);
}

TEST_CASE("where there are tests, they decide; what failed counts nowhere; models are apart") {
    std::vector<Measurement> all;
    add(all, "1", "insertion-3", 1, 1, 0.5);
    all[0].passed = true;
    all[1].passed = false;
    add(all, "2", "insertion-3", 1, 0, 9);
    all[3].failure = "too long";
    all.push_back(made("1", "insertion-3", "pie+seam", 1, 0.25));
    std::vector<Measurement> other = all;
    for (Measurement& m : other) {
        m.key.model = "other";
        all.push_back(m);
    }
    const std::vector<Losses> losses = find_losses(all);
    REQUIRE(losses.size() == 4);
    CHECK(losses[0].kinds.at(0).n_lost == 1);
    CHECK(losses[0].kinds.at(0).n_rows == 1);
    CHECK(losses[1].method == "pie+seam");
    CHECK(losses[2].model == "other");
    CHECK(find_losses({}).empty());
}

} // namespace pie
