#include "cache/plan.h"
#include "cache/random_edits.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

using pie::CellIndex;
using pie::diff_tokens;
using pie::DiffOptions;
using pie::edit_at_random;
using pie::EditPlan;
using pie::KeptRun;
using pie::plan_edit;
using pie::PlanOptions;
using pie::Position;
using pie::RecalledCell;
using pie::TokenId;
using pie::Tokens;
using pie::uniform_tokens;

namespace {

constexpr int32_t inserted = -1;
constexpr PlanOptions as_published{.seam = 0, .repair_control_tokens = false};

bool no_control(TokenId) {
    return false;
}

// In the named cases: tokens from 900 on.
bool is_marker(TokenId token) {
    return token.value >= 900;
}

Tokens counting(int32_t first, int32_t n_tokens) {
    Tokens tokens;
    for (int32_t i = 0; i < n_tokens; ++i) {
        tokens.emplace_back(first + i);
    }
    return tokens;
}

Tokens joined(std::initializer_list<Tokens> parts) {
    Tokens tokens;
    for (const Tokens& part : parts) {
        tokens.insert(tokens.end(), part.begin(), part.end());
    }
    return tokens;
}

EditPlan plan_of(const Tokens& cached, const Tokens& wanted, const PlanOptions& options) {
    return plan_edit(wanted, static_cast<int32_t>(cached.size()), diff_tokens(cached, wanted), is_marker,
                     options);
}

using Positions = std::vector<int32_t>;

Positions encoded(const EditPlan& plan) {
    Positions positions;
    std::ranges::transform(plan.encode, std::back_inserter(positions), &Position::value);
    return positions;
}

Positions range(int32_t begin, int32_t end) {
    Positions positions(static_cast<size_t>(end - begin));
    std::iota(positions.begin(), positions.end(), begin);
    return positions;
}

// The cached token that serves each wanted one.
std::vector<int32_t> sources(size_t n_wanted, const std::vector<KeptRun>& runs) {
    std::vector<int32_t> source(n_wanted, inserted);
    for (const KeptRun& run : runs) {
        std::iota(source.begin() + run.to, source.begin() + run.to + run.length, run.from);
    }
    return source;
}

// At most `line` tokens behind the last control token, if it has at most 32 tokens behind it.
bool is_on_line(const Tokens& wanted, size_t p, bool (*is_control)(TokenId), int32_t line) {
    const auto last = std::find_if(wanted.rbegin(), wanted.rend(), is_control);
    const auto n_behind = static_cast<size_t>(last - wanted.rbegin());
    const size_t begin = wanted.size() - n_behind;
    return last != wanted.rend() && n_behind <= 32 && p >= begin && p < begin + static_cast<size_t>(line);
}

// The rule of plan.h, read literally: each position looks back over everything before it.
Positions must_encode(const Tokens& wanted, const std::vector<int32_t>& source, bool (*is_control)(TokenId),
                      const PlanOptions& options) {
    const auto is_edit = [&](size_t p) {
        if (source[p] == inserted) {
            return false;
        }
        return p == 0 ? source[p] != 0 : source[p - 1] == inserted || source[p] != source[p - 1] + 1;
    };
    Positions positions;
    for (size_t p = 0; p < wanted.size(); ++p) {
        bool must = source[p] == inserted || p + 1 == wanted.size();
        bool is_behind_edit = false;
        bool only_kept_between = true;
        for (size_t back = 0; back <= p; ++back) {
            const size_t q = p - back;
            only_kept_between = only_kept_between && source[q] != inserted;
            is_behind_edit = is_behind_edit || is_edit(q);
            must = must || (is_edit(q) && only_kept_between && static_cast<int64_t>(back) < options.seam);
        }
        must = must || (options.repair_control_tokens && is_behind_edit && is_control(wanted[p]));
        must = must || (options.repair_control_tokens && is_behind_edit &&
                        is_on_line(wanted, p, is_control, options.line));
        if (must) {
            positions.push_back(static_cast<int32_t>(p));
        }
    }
    return positions;
}

// What the cache holds after the plan: kept tokens in their places, encoded ones as wanted. Each position
// must be given exactly once, and no cached token twice.
Tokens carried_out(const EditPlan& plan, const Tokens& cached, const Tokens& wanted) {
    Tokens result(wanted.size(), TokenId(-1));
    std::vector<int> times_given(wanted.size(), 0);
    std::vector<int> times_used(cached.size(), 0);
    int32_t to_end = 0;
    int32_t kept = 0;
    int32_t moved = 0;
    for (const KeptRun& run : plan.keep) {
        REQUIRE(run.length > 0);
        REQUIRE(run.to >= to_end);
        to_end = run.to + run.length;
        REQUIRE(to_end <= std::ssize(wanted));
        REQUIRE(run.from >= 0);
        REQUIRE(run.from + run.length <= std::ssize(cached));
        auto from = static_cast<size_t>(run.from);
        for (auto to = static_cast<size_t>(run.to); to < static_cast<size_t>(to_end); ++to, ++from) {
            result[to] = cached[from];
            ++times_given[to];
            ++times_used[from];
            ++kept;
            moved += to != from;
        }
    }
    CHECK(std::ranges::is_sorted(plan.encode));
    for (const Position position : plan.encode) {
        REQUIRE(position.value >= 0);
        REQUIRE(position.value < std::ssize(wanted));
        result[static_cast<size_t>(position.value)] = wanted[static_cast<size_t>(position.value)];
        ++times_given[static_cast<size_t>(position.value)];
    }
    CHECK(std::ranges::count(times_given, 1) == std::ssize(wanted));
    CHECK(std::ranges::count_if(times_used, [](int times) { return times > 1; }) == 0);
    CHECK(plan.tokens_kept == kept);
    CHECK(plan.tokens_moved == moved);
    return result;
}

} // namespace

TEST_CASE("nothing to do but the last token") {
    const Tokens tokens = joined({counting(1, 20), counting(900, 2), counting(30, 5)});
    const EditPlan plan = plan_of(tokens, tokens, {});
    CHECK(encoded(plan) == Positions{26});
    CHECK(plan.keep == std::vector<KeptRun>{{0, 0, 26}});
    CHECK(plan.tokens_kept == 26);
    CHECK(plan.tokens_moved == 0);
}

TEST_CASE("an empty sequence needs nothing, an empty cache gives nothing") {
    const EditPlan nothing = plan_of(counting(1, 9), {}, {});
    CHECK(nothing.keep.empty());
    CHECK(nothing.encode.empty());

    const EditPlan everything = plan_of({}, counting(1, 9), {});
    CHECK(everything.keep.empty());
    CHECK(encoded(everything) == range(0, 9));
}

TEST_CASE("insertion: as published, with a seam, and with all of the rest") {
    const Tokens cached = counting(1, 100);
    const Tokens wanted = joined({counting(1, 40), counting(500, 3), counting(41, 60)});

    const EditPlan published = plan_of(cached, wanted, as_published);
    CHECK(encoded(published) == Positions{40, 41, 42, 102});
    CHECK(published.keep == std::vector<KeptRun>{{0, 0, 40}, {40, 43, 59}});
    CHECK(published.tokens_kept == 99);
    CHECK(published.tokens_moved == 59);

    const EditPlan seam = plan_of(cached, wanted, {.seam = 4});
    CHECK(encoded(seam) == Positions{40, 41, 42, 43, 44, 45, 46, 102});
    CHECK(seam.keep == std::vector<KeptRun>{{0, 0, 40}, {44, 47, 55}});
    CHECK(seam.tokens_moved == 55);

    for (const int32_t rest : {60, 61, 1000, std::numeric_limits<int32_t>::max()}) {
        CHECK(encoded(plan_of(cached, wanted, {.seam = rest})) == range(40, 103));
    }
}

TEST_CASE("deletion: what follows is an edit, at either end of the sequence too") {
    const Tokens cached = counting(1, 100);
    const Tokens middle = joined({counting(1, 40), counting(51, 50)});
    const Tokens start = counting(11, 90);
    const Tokens end = counting(1, 90);

    CHECK(encoded(plan_of(cached, middle, {.seam = 2})) == Positions{40, 41, 89});
    CHECK(plan_of(cached, middle, {.seam = 2}).tokens_moved == 47);
    CHECK(encoded(plan_of(cached, middle, as_published)) == Positions{89});
    CHECK(encoded(plan_of(cached, start, {.seam = 2})) == Positions{0, 1, 89});
    CHECK(plan_of(cached, start, {.seam = 2}).tokens_moved == 87);
    CHECK(encoded(plan_of(cached, end, {.seam = 2})) == Positions{89});
    CHECK(plan_of(cached, end, {.seam = 2}).tokens_moved == 0);
}

TEST_CASE("a replacement of the same length keeps positions, and has a seam") {
    const Tokens cached = counting(1, 50);
    const Tokens wanted = joined({counting(1, 20), counting(500, 1), counting(22, 29)});
    const EditPlan plan = plan_of(cached, wanted, {.seam = 3});
    CHECK(encoded(plan) == Positions{20, 21, 22, 23, 49});
    CHECK(plan.tokens_kept == 45);
    CHECK(plan.tokens_moved == 0);
}

TEST_CASE("a seam stops at the next insertion, which has its own") {
    const Tokens cached = counting(1, 60);
    const Tokens wanted =
        joined({counting(1, 20), counting(500, 1), counting(21, 5), counting(510, 2), counting(26, 35)});
    Positions seam_and_last = range(20, 36);
    seam_and_last.push_back(62);
    CHECK(encoded(plan_of(cached, wanted, {.seam = 8})) == seam_and_last);
    CHECK(encoded(plan_of(cached, wanted, {.seam = 2})) == Positions{20, 21, 22, 26, 27, 28, 29, 62});
}

TEST_CASE("control tokens behind the first edit are encoded again, those before it stay") {
    const Tokens marker = counting(900, 1);
    const Tokens cached = joined({marker, counting(1, 20), marker, counting(21, 20), marker});
    const Tokens wanted = joined(
        {marker, counting(1, 10), counting(500, 1), counting(11, 10), marker, counting(21, 20), marker});
    CHECK(encoded(plan_of(cached, wanted, {.seam = 2})) == Positions{11, 12, 13, 22, 43});
    CHECK(encoded(plan_of(cached, wanted, {.seam = 2, .repair_control_tokens = false})) ==
          Positions{11, 12, 13, 43});
    CHECK(encoded(plan_of(cached, wanted, {.seam = 0})) == Positions{11, 22, 43});
    // A deletion is an edit like any other, and the marker may be the very token behind it.
    const Tokens shorter = joined({marker, counting(1, 15), marker, counting(21, 20), marker});
    CHECK(encoded(plan_of(cached, shorter, {.seam = 0})) == Positions{16, 37});
}

TEST_CASE("behind the last control token the line is encoded again, or its first tokens") {
    const Tokens cached = joined({counting(1, 40), counting(900, 1), counting(41, 10)});
    const Tokens wanted =
        joined({counting(1, 20), counting(500, 1), counting(21, 20), counting(900, 1), counting(41, 10)});
    Positions all = range(41, 52);
    all.insert(all.begin(), 20);
    CHECK(encoded(plan_of(cached, wanted, {.seam = 0})) == all);
    CHECK(encoded(plan_of(cached, wanted, {.seam = 0, .line = 4})) == Positions{20, 41, 42, 43, 44, 45, 51});
    CHECK(encoded(plan_of(cached, wanted, {.seam = 0, .line = 0})) == Positions{20, 41, 51});
}

TEST_CASE("a moved block has a seam, what follows it has one, and so has the place it left") {
    const Tokens cached = joined({counting(1, 20), counting(100, 30), counting(200, 50), counting(300, 20)});
    const Tokens wanted = joined({counting(1, 20), counting(200, 50), counting(100, 30), counting(300, 20)});
    const EditPlan plan = plan_of(cached, wanted, {.seam = 2});
    CHECK(encoded(plan) == Positions{20, 21, 70, 71, 100, 101, 119});
    CHECK(plan.keep == std::vector<KeptRun>{{0, 0, 20}, {52, 22, 48}, {22, 72, 28}, {102, 102, 17}});
    CHECK(plan.tokens_moved == 76);
}

TEST_CASE("random edit scripts: the plan gives every position once and encodes what the rule says") {
    for (uint32_t seed = 1; seed <= 1500; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{2, 5, 1000}[random() % 3];
        // Frequent and rare control tokens, and none at all.
        bool (*is_control)(TokenId) = no_control;
        if (random() % 3 != 0) {
            is_control = [](TokenId token) { return token.value == 1 || token.value == 3; };
        }
        const DiffOptions diff_options =
            random() % 2 == 0 ? DiffOptions{} : DiffOptions{.kept_run_min = 1, .moved_run_min = 3};
        const PlanOptions options{.seam = std::array{0, 1, 8, 25, 1000}[random() % 5],
                                  .repair_control_tokens = random() % 2 == 0,
                                  .line = std::array{0, 3, 32}[random() % 3]};
        Tokens cached = uniform_tokens(random, random() % 301, alphabet);
        const auto n_steps = 1 + random() % 4;
        for (uint32_t step = 0; step < n_steps; ++step) {
            Tokens wanted = cached;
            const auto n_edits = random() % 5;
            for (uint32_t edit = 0; edit < n_edits; ++edit) {
                edit_at_random(random, wanted, uniform_tokens(random, random() % 20, alphabet), 80);
            }
            if (wanted.size() > 400) {
                wanted.resize(400);
            }
            const std::vector<KeptRun> runs = diff_tokens(cached, wanted, diff_options);
            const EditPlan plan =
                plan_edit(wanted, static_cast<int32_t>(cached.size()), runs, is_control, options);
            const Tokens result = carried_out(plan, cached, wanted);
            CHECK(result == wanted);
            const std::vector<int32_t> source = sources(wanted.size(), runs);
            CHECK(encoded(plan) == must_encode(wanted, source, is_control, options));
            // Every kept token serves where the diff said.
            const std::vector<int32_t> kept_source = sources(wanted.size(), plan.keep);
            for (size_t p = 0; p < wanted.size(); ++p) {
                CHECK((kept_source[p] == inserted || kept_source[p] == source[p]));
            }
            cached = result;
        }
    }
}

TEST_CASE("tokens that a policy picks are encoded again, those that are not kept are ignored") {
    const Tokens cached = counting(0, 20);
    Tokens wanted = cached;
    wanted.insert(wanted.begin() + 5, TokenId(100));
    EditPlan plan = plan_of(cached, wanted, as_published);
    REQUIRE(plan.encode == std::vector{Position(5), Position(20)});
    pie::encode_again(plan, std::vector{Position(4), Position(5), Position(10), Position(11)});
    CHECK(plan.keep == std::vector<KeptRun>{{0, 0, 4}, {5, 6, 4}, {11, 12, 8}});
    CHECK(plan.again == std::vector<KeptRun>{{4, 4, 1}, {9, 10, 2}, {19, 20, 1}});
    CHECK(plan.encode == std::vector{Position(4), Position(5), Position(10), Position(11), Position(20)});
    CHECK(plan.tokens_kept == 16);
    CHECK(plan.tokens_moved == 12);
}

TEST_CASE("what is kept from behind the cached tokens is recalled, but for its seam") {
    const Tokens wanted = counting(1, 40);
    std::vector<CellIndex> cells;
    for (int32_t i = 0; i < 21; ++i) {
        cells.emplace_back(100 + i);
    }
    const std::vector<KeptRun> runs = {{0, 0, 10}, {11, 10, 20}};
    EditPlan plan = plan_edit(wanted, 31, runs, is_marker, {.seam = 4});
    recall_blocks(plan, 10, cells);
    CHECK(plan.keep == std::vector<KeptRun>{{0, 0, 10}});
    CHECK(plan.again.empty());
    CHECK(plan.tokens_kept == 10);
    CHECK(plan.tokens_moved == 0);
    REQUIRE(plan.recall.size() == 16);
    CHECK(plan.recall.front() == RecalledCell{Position(14), CellIndex(105)});
    CHECK(plan.recall.back() == RecalledCell{Position(29), CellIndex(120)});
    Positions expected = range(30, 40);
    expected.insert(expected.begin(), {10, 11, 12, 13});
    CHECK(encoded(plan) == expected);
}

TEST_CASE("values go where their tokens go, encoded again or not") {
    const Tokens cached = counting(0, 4);
    Tokens wanted = {TokenId(50)};
    wanted.insert(wanted.end(), cached.begin(), cached.end());
    const EditPlan plan = plan_of(cached, wanted, {.seam = 2});
    REQUIRE(plan.tokens_kept == 1);
    const std::vector<float> values = {1, 2, 3, 4};
    CHECK(pie::carry_over(plan, values, wanted.size()) == std::vector<float>{0, 1, 2, 3, 4});
}
