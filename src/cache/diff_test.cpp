#include "cache/diff.h"
#include "cache/random_edits.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <numeric>
#include <random>
#include <span>
#include <vector>

using pie::diff_tokens;
using pie::DiffOptions;
using pie::edit_at_random;
using pie::KeptRun;
using pie::TokenId;
using pie::Tokens;
using pie::uniform_tokens;
using pie::zipf_tokens;

namespace {

constexpr int32_t unused = -1;

// Written out token by token, to be looked at without trusting the runs' order.
struct Usage {
    std::vector<int32_t> source; // per wanted token
    std::vector<int32_t> target; // per cached token
};

// Bounds, order, equality, and that no token serves twice.
Usage check_runs(const Tokens& cached, const Tokens& wanted, std::span<const KeptRun> runs) {
    Usage usage{std::vector<int32_t>(wanted.size(), unused), std::vector<int32_t>(cached.size(), unused)};
    int32_t to_end = 0;
    for (const KeptRun& run : runs) {
        REQUIRE(run.length > 0);
        REQUIRE(run.from >= 0);
        REQUIRE(run.to >= to_end);
        to_end = run.to + run.length;
        REQUIRE(to_end <= std::ssize(wanted));
        REQUIRE(run.from + run.length <= std::ssize(cached));
        auto from = static_cast<size_t>(run.from);
        for (auto to = static_cast<size_t>(run.to); to < static_cast<size_t>(to_end); ++to, ++from) {
            REQUIRE(usage.target[from] == unused);
            REQUIRE(cached[from] == wanted[to]);
            usage.source[to] = static_cast<int32_t>(from);
            usage.target[from] = static_cast<int32_t>(to);
        }
    }
    return usage;
}

void check_maximal(const Tokens& cached, const Tokens& wanted, std::span<const KeptRun> runs,
                   const Usage& usage) {
    const auto is_free_pair = [&](int32_t from, int32_t to) {
        const auto f = static_cast<size_t>(from);
        const auto t = static_cast<size_t>(to);
        return from >= 0 && to >= 0 && f < cached.size() && t < wanted.size() && usage.target[f] == unused &&
               usage.source[t] == unused && cached[f] == wanted[t];
    };
    for (const KeptRun& run : runs) {
        CHECK_FALSE(is_free_pair(run.from - 1, run.to - 1));
        CHECK_FALSE(is_free_pair(run.from + run.length, run.to + run.length));
    }
    for (size_t i = 1; i < runs.size(); ++i) {
        const KeptRun& before = runs[i - 1];
        CHECK_FALSE((before.to + before.length == runs[i].to && before.from + before.length == runs[i].from));
    }
}

// The longest block of equal tokens that neither side uses, by the textbook table.
int32_t longest_unused_block(const Tokens& cached, const Tokens& wanted, const Usage& usage) {
    std::vector<int32_t> row(wanted.size() + 1, 0);
    int32_t longest = 0;
    for (size_t f = 0; f < cached.size(); ++f) {
        for (size_t t = wanted.size(); t-- > 0;) {
            const bool is_free_pair =
                usage.target[f] == unused && usage.source[t] == unused && cached[f] == wanted[t];
            row[t + 1] = is_free_pair ? row[t] + 1 : 0;
            longest = std::max(longest, row[t + 1]);
        }
    }
    return longest;
}

int32_t longest_common_subsequence(const Tokens& a, const Tokens& b) {
    std::vector<int32_t> row(b.size() + 1, 0);
    for (const TokenId token : a) {
        int32_t diagonal = 0;
        for (size_t j = 0; j < b.size(); ++j) {
            const int32_t above = row[j + 1];
            row[j + 1] = token == b[j] ? diagonal + 1 : std::max(above, row[j]);
            diagonal = above;
        }
    }
    return row.back();
}

int32_t tokens_kept(std::span<const KeptRun> runs) {
    return std::accumulate(runs.begin(), runs.end(), 0,
                           [](int32_t sum, const KeptRun& run) { return sum + run.length; });
}

// A pair of sequences as a random edit script leaves them.
struct Case {
    Tokens cached;
    Tokens wanted;
};

Case random_case(std::mt19937& random, size_t length_max, std::ptrdiff_t edit_length_max) {
    const int32_t alphabet = std::array{2, 5, 1000}[random() % 3];
    Case drawn;
    drawn.cached = uniform_tokens(random, random() % (length_max + 1), alphabet);
    drawn.wanted = drawn.cached;
    const auto n_edits = random() % 6;
    for (uint32_t edit = 0; edit < n_edits; ++edit) {
        edit_at_random(random, drawn.wanted, uniform_tokens(random, random() % 20, alphabet),
                       edit_length_max);
    }
    return drawn;
}

Tokens joined(std::initializer_list<std::span<const TokenId>> parts) {
    Tokens tokens;
    for (const auto part : parts) {
        tokens.insert(tokens.end(), part.begin(), part.end());
    }
    return tokens;
}

// Lines such as `name3.name7(name1)`: few kinds of tokens stand between many names, as in source code.
Tokens code_tokens(std::mt19937& random, size_t n_tokens) {
    constexpr int32_t line_break = 1;
    constexpr int32_t name_min = 100;
    Tokens tokens;
    while (tokens.size() < n_tokens) {
        for (const int32_t punctuation : {2, 3, 4, line_break}) {
            tokens.emplace_back(name_min + static_cast<int32_t>(random() % 40));
            tokens.emplace_back(punctuation);
        }
    }
    tokens.resize(n_tokens);
    return tokens;
}

} // namespace

TEST_CASE("empty sequences share nothing") {
    const Tokens tokens(5, TokenId(1));
    CHECK(diff_tokens({}, {}).empty());
    CHECK(diff_tokens(tokens, {}).empty());
    CHECK(diff_tokens({}, tokens).empty());
}

TEST_CASE("equal sequences are one run, however short") {
    std::mt19937 random(1);
    for (const size_t n_tokens : {1, 3, 100}) {
        const Tokens tokens = uniform_tokens(random, n_tokens, 3);
        CHECK(diff_tokens(tokens, tokens) == std::vector<KeptRun>{{0, 0, static_cast<int32_t>(n_tokens)}});
    }
}

TEST_CASE("random edit scripts: runs are right, disjoint, maximal, and leave no block behind") {
    // A run too short to be kept must be open to blocks of the shortest length for the last of these.
    constexpr std::array<DiffOptions, 4> options = {DiffOptions{.kept_run_min = 4, .moved_run_min = 16},
                                                    DiffOptions{.kept_run_min = 1, .moved_run_min = 4},
                                                    DiffOptions{.kept_run_min = 3, .moved_run_min = 5},
                                                    DiffOptions{.kept_run_min = 1, .moved_run_min = 1}};
    for (uint32_t seed = 1; seed <= 4000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const DiffOptions& option = options[seed % options.size()];
        const Case drawn = random_case(random, seed % 4 == 0 ? 300 : 60, seed % 4 == 0 ? 100 : 25);
        const std::vector<KeptRun> runs = diff_tokens(drawn.cached, drawn.wanted, option);
        const Usage usage = check_runs(drawn.cached, drawn.wanted, runs);
        check_maximal(drawn.cached, drawn.wanted, runs, usage);
        CHECK(longest_unused_block(drawn.cached, drawn.wanted, usage) < option.moved_run_min);
        for (const KeptRun& run : runs) {
            const bool is_start = run.from == 0 && run.to == 0;
            const bool is_end = run.from + run.length == std::ssize(drawn.cached) &&
                                run.to + run.length == std::ssize(drawn.wanted);
            CHECK((is_start || is_end || run.length >= option.kept_run_min));
        }
    }
}

TEST_CASE("without moves and with runs of any length, the longest common subsequence is kept") {
    for (uint32_t seed = 1; seed <= 500; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const Case drawn = random_case(random, 100, 30);
        const std::vector<KeptRun> runs =
            diff_tokens(drawn.cached, drawn.wanted, {.kept_run_min = 1, .moved_run_min = 1000});
        CHECK(tokens_kept(runs) == longest_common_subsequence(drawn.cached, drawn.wanted));
    }
}

TEST_CASE("one insertion keeps all that was cached, one deletion all that is wanted") {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{1, 2, 5, 1000}[seed % 4];
        const Tokens shorter = uniform_tokens(random, random() % 100, alphabet);
        Tokens longer = shorter;
        insert_at_random(random, longer, uniform_tokens(random, 1 + random() % 50, alphabet));
        const std::vector<KeptRun> insertion = diff_tokens(shorter, longer);
        const std::vector<KeptRun> deletion = diff_tokens(longer, shorter);
        CHECK(tokens_kept(insertion) == std::ssize(shorter));
        CHECK(tokens_kept(deletion) == std::ssize(shorter));
        CHECK(insertion.size() <= 2);
        CHECK(deletion.size() <= 2);
    }
}

TEST_CASE("short runs between changes are dropped, at either end they stay") {
    const auto tokens = [](std::initializer_list<int32_t> values) {
        Tokens result;
        std::ranges::transform(values, std::back_inserter(result), [](int32_t v) { return TokenId(v); });
        return result;
    };
    const Tokens cached = tokens({1, 2, 50, 3, 4, 5, 51, 6, 7, 8, 9, 52, 10});
    const Tokens wanted = tokens({1, 2, 60, 61, 3, 4, 5, 62, 6, 7, 8, 9, 63, 10});
    CHECK(diff_tokens(cached, wanted) == std::vector<KeptRun>{{0, 0, 2}, {7, 8, 4}, {12, 13, 1}});
    CHECK(diff_tokens(cached, wanted, {.kept_run_min = 3, .moved_run_min = 16}) ==
          std::vector<KeptRun>{{0, 0, 2}, {3, 4, 3}, {7, 8, 4}, {12, 13, 1}});
    CHECK(diff_tokens(cached, wanted, {.kept_run_min = 5, .moved_run_min = 16}) ==
          std::vector<KeptRun>{{0, 0, 2}, {12, 13, 1}});
}

TEST_CASE("a block of 40 tokens moved by 1,000 is kept, in either direction") {
    std::mt19937 random(3);
    const Tokens head = uniform_tokens(random, 200, 100'000);
    const Tokens block = uniform_tokens(random, 40, 100'000);
    const Tokens passed = uniform_tokens(random, 1000, 100'000);
    const Tokens tail = uniform_tokens(random, 200, 100'000);
    const Tokens early = joined({head, block, passed, tail});
    const Tokens late = joined({head, passed, block, tail});
    CHECK(diff_tokens(early, late) ==
          std::vector<KeptRun>{{0, 0, 200}, {240, 200, 1000}, {200, 1200, 40}, {1240, 1240, 200}});
    CHECK(diff_tokens(late, early) ==
          std::vector<KeptRun>{{0, 0, 200}, {1200, 200, 40}, {200, 240, 1000}, {1240, 1240, 200}});
}

TEST_CASE("a moved block is found among the frequent tokens of text, and its changed tokens are not") {
    std::mt19937 random(4);
    const Tokens head = zipf_tokens(random, 300);
    Tokens block = zipf_tokens(random, 40);
    const Tokens passed = zipf_tokens(random, 1000);
    const Tokens tail = zipf_tokens(random, 300);
    const Tokens cached = joined({head, block, passed, tail});
    block[20] = TokenId(9999);
    const Tokens wanted = joined({head, passed, block, tail});
    const std::vector<KeptRun> runs = diff_tokens(cached, wanted);
    const Usage usage = check_runs(cached, wanted, runs);
    for (int32_t i = 0; i < 40; ++i) {
        CHECK(usage.source[static_cast<size_t>(1300 + i)] == (i == 20 ? unused : 300 + i));
    }
    CHECK(tokens_kept(runs) == 1639);
}

TEST_CASE("swapped halves are kept whole, though their tokens are alike") {
    std::mt19937 random(5);
    for (const size_t n_second : {300, 297, 500}) {
        CAPTURE(n_second);
        const Tokens first = code_tokens(random, 300);
        const Tokens second = code_tokens(random, n_second);
        const Tokens cached = joined({first, second});
        const Tokens wanted = joined({second, first});
        const std::vector<KeptRun> runs = diff_tokens(cached, wanted);
        check_runs(cached, wanted, runs);
        // Where the halves end alike, a few tokens may count for the one or for the other.
        CHECK(tokens_kept(runs) + 4 >= std::ssize(wanted));
        CHECK(runs.size() <= 4);
    }
}

TEST_CASE("blocks that overlap in the cache share it without tearing each other apart") {
    std::mt19937 random(8);
    const Tokens p = uniform_tokens(random, 20, 100'000);
    const Tokens q = uniform_tokens(random, 20, 100'000);
    const Tokens r = uniform_tokens(random, 20, 100'000);
    const Tokens longest = uniform_tokens(random, 200, 100'000);
    const Tokens one(1, TokenId(100'000));
    const Tokens cached = joined({p, q, r, longest});
    const Tokens wanted = joined({longest, q, r, one, p, q});
    CHECK(diff_tokens(cached, wanted) == std::vector<KeptRun>{{60, 0, 200}, {20, 200, 40}, {0, 241, 20}});
}

TEST_CASE("a moved block stays whole though its end occurs elsewhere too") {
    std::mt19937 random(9);
    const Tokens end = uniform_tokens(random, 16, 100'000);
    const Tokens start = uniform_tokens(random, 32, 100'000);
    const Tokens longest = uniform_tokens(random, 200, 100'000);
    const Tokens one(1, TokenId(100'000));
    const Tokens other(1, TokenId(100'001));
    const Tokens cached = joined({end, one, start, end, longest});
    const Tokens wanted = joined({longest, other, start, end, one});
    CHECK(diff_tokens(cached, wanted) == std::vector<KeptRun>{{65, 0, 200}, {17, 201, 48}});
}

TEST_CASE("a rename keeps all between its places") {
    std::mt19937 random(6);
    Tokens cached = zipf_tokens(random, 600);
    Tokens wanted;
    for (size_t i = 0; i < cached.size(); ++i) {
        if (i % 30 == 15) {
            cached[i] = TokenId(7777);
            wanted.insert(wanted.end(), {TokenId(8888), TokenId(8889)});
        } else {
            wanted.push_back(cached[i]);
        }
    }
    const std::vector<KeptRun> runs = diff_tokens(cached, wanted);
    check_runs(cached, wanted, runs);
    CHECK(runs.size() == 21);
    CHECK(tokens_kept(runs) == 580);
    for (size_t i = 0; i < runs.size(); ++i) {
        CHECK(runs[i].to - runs[i].from == static_cast<int32_t>(i));
    }
}

TEST_CASE("what repeats ends in good time and right") {
    std::mt19937 random(7);
    const Tokens equal(6000, TokenId(3));
    const Tokens fewer(2000, TokenId(3));
    CHECK(diff_tokens(equal, fewer) == std::vector<KeptRun>{{0, 0, 2000}});
    CHECK(diff_tokens(fewer, equal) == std::vector<KeptRun>{{0, 0, 2000}});

    Tokens loop(6000);
    std::ranges::generate(loop, [next = 0]() mutable { return TokenId(next++ % 5); });
    const Tokens between = uniform_tokens(random, 500, 1000);
    const Tokens before = uniform_tokens(random, 500, 1000);
    const Tokens cached = joined({before, equal, between, loop});
    const Tokens wanted = joined({loop, before, fewer, between, fewer, loop});
    const std::vector<KeptRun> runs = diff_tokens(cached, wanted);
    const Usage usage = check_runs(cached, wanted, runs);
    check_maximal(cached, wanted, runs, usage);
    // Everything but the second loop has a cached token of its own.
    CHECK(tokens_kept(runs) == 500 + 2000 + 500 + 2000 + 6000);
}
