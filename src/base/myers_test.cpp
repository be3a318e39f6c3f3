#include "base/myers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

using pie::Match;
using pie::myers_matches;

namespace {

using Sequence = std::vector<int32_t>;

Sequence sequence_of(std::string_view text) {
    return {text.begin(), text.end()};
}

Sequence random_sequence(std::mt19937& random, size_t length, int32_t alphabet) {
    std::uniform_int_distribution<int32_t> element(0, alphabet - 1);
    Sequence sequence(length);
    std::ranges::generate(sequence, [&] { return element(random); });
    return sequence;
}

// The textbook table, row by row.
size_t longest_common_subsequence(const Sequence& a, const Sequence& b) {
    std::vector<size_t> row(b.size() + 1);
    for (const int32_t element : a) {
        size_t diagonal = 0;
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t above = row[j + 1];
            row[j + 1] = element == b[j] ? diagonal + 1 : std::max(above, row[j]);
            diagonal = above;
        }
    }
    return row.back();
}

size_t total_length(const std::vector<Match>& matches) {
    return std::accumulate(matches.begin(), matches.end(), size_t{0},
                           [](size_t sum, const Match& match) { return sum + match.length; });
}

// What holds of every result, whether the bound was hit or not.
void check_matches(const Sequence& a, const Sequence& b, const std::vector<Match>& matches) {
    size_t a_end = 0;
    size_t b_end = 0;
    bool are_valid = true;
    for (const Match& match : matches) {
        const bool is_first = &match == &matches.front();
        are_valid = are_valid && match.length > 0 && match.a_begin >= a_end && match.b_begin >= b_end &&
                    (is_first || match.a_begin > a_end || match.b_begin > b_end);
        a_end = match.a_begin + match.length;
        b_end = match.b_begin + match.length;
        are_valid = are_valid && a_end <= a.size() && b_end <= b.size() &&
                    std::equal(a.begin() + static_cast<std::ptrdiff_t>(match.a_begin),
                               a.begin() + static_cast<std::ptrdiff_t>(a_end),
                               b.begin() + static_cast<std::ptrdiff_t>(match.b_begin));
    }
    CHECK(are_valid);
}

Sequence edited(std::mt19937& random, Sequence sequence, int edits, int32_t alphabet) {
    std::uniform_int_distribution<int32_t> element(0, alphabet - 1);
    for (int edit = 0; edit < edits; ++edit) {
        std::uniform_int_distribution<std::ptrdiff_t> place(0, std::ssize(sequence) - 1);
        if (random() % 2 == 0) {
            sequence.insert(sequence.begin() + place(random), element(random));
        } else {
            sequence.erase(sequence.begin() + place(random));
        }
    }
    return sequence;
}

} // namespace

TEST_CASE("nothing matches nothing") {
    CHECK(myers_matches({}, {}).empty());
    CHECK(myers_matches(sequence_of("abc"), {}).empty());
    CHECK(myers_matches({}, sequence_of("abc")).empty());
    CHECK(myers_matches(sequence_of("abc"), sequence_of("xyz")).empty());
}

TEST_CASE("equal sequences are one match") {
    CHECK(myers_matches(sequence_of("abcabc"), sequence_of("abcabc")) == std::vector<Match>{{0, 0, 6}});
}

TEST_CASE("one edit leaves both sides of it matched") {
    CHECK(myers_matches(sequence_of("abcdef"), sequence_of("abcXYdef")) ==
          std::vector<Match>{{0, 0, 3}, {3, 5, 3}});
    CHECK(myers_matches(sequence_of("abcXYdef"), sequence_of("abcdef")) ==
          std::vector<Match>{{0, 0, 3}, {5, 3, 3}});
    CHECK(myers_matches(sequence_of("abcXdef"), sequence_of("abcYZdef")) ==
          std::vector<Match>{{0, 0, 3}, {4, 5, 3}});
}

TEST_CASE("the example of the paper has four matches") {
    const Sequence a = sequence_of("abcabba");
    const Sequence b = sequence_of("cbabac");
    const std::vector<Match> matches = myers_matches(a, b);
    check_matches(a, b, matches);
    CHECK(total_length(matches) == 4);
}

TEST_CASE("as many elements match as in the longest common subsequence") {
    for (uint32_t seed = 1; seed <= 3000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{1, 2, 3, 5, 26, 1000}[random() % 6];
        const size_t length_max = random() % 4 == 0 ? 128 : 24;
        const Sequence a = random_sequence(random, random() % (length_max + 1), alphabet);
        const Sequence b = random_sequence(random, random() % (length_max + 1), alphabet);
        const std::vector<Match> matches = myers_matches(a, b);
        check_matches(a, b, matches);
        CHECK(total_length(matches) == longest_common_subsequence(a, b));
    }
}

TEST_CASE("the same holds for long sequences with up to 256 edits") {
    for (uint32_t seed = 1; seed <= 30; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{2, 5, 1000}[seed % 3];
        const Sequence a = random_sequence(random, 800, alphabet);
        const Sequence b = edited(random, a, static_cast<int>(random() % 257), alphabet);
        const std::vector<Match> matches = myers_matches(a, b);
        check_matches(a, b, matches);
        CHECK(total_length(matches) == longest_common_subsequence(a, b));
    }
}

TEST_CASE("beyond the bound matches are right, and most of them are found") {
    for (uint32_t seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{2, 5, 50}[seed % 3];
        const Sequence a = random_sequence(random, 1500, alphabet);
        const Sequence b = seed % 2 == 0 ? random_sequence(random, 1000 + random() % 1000, alphabet)
                                         : edited(random, a, 900, alphabet);
        const std::vector<Match> matches = myers_matches(a, b);
        check_matches(a, b, matches);
        CHECK(total_length(matches) <= longest_common_subsequence(a, b));
        CHECK(10 * total_length(matches) >= 8 * longest_common_subsequence(a, b));
    }
}

TEST_CASE("beyond the bound matches are right for sequences of very different length") {
    for (uint32_t seed = 1; seed <= 200; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const int32_t alphabet = std::array{2, 5, 50, 1000}[seed % 4];
        Sequence a = random_sequence(random, random() % 150, alphabet);
        Sequence b = random_sequence(random, random() % 1500, alphabet);
        if (seed % 2 == 0) {
            std::swap(a, b);
        }
        const std::vector<Match> matches = myers_matches(a, b);
        check_matches(a, b, matches);
        CHECK(total_length(matches) <= longest_common_subsequence(a, b));
    }
}

TEST_CASE("what repeats ends in good time") {
    const Sequence short_one(4000, 7);
    const Sequence long_one(9000, 7);
    CHECK(myers_matches(short_one, long_one) == std::vector<Match>{{0, 0, 4000}});
    CHECK(myers_matches(long_one, short_one) == std::vector<Match>{{0, 0, 4000}});
    CHECK(myers_matches(long_one, Sequence(9000, 8)).empty());

    Sequence loop(9000);
    std::ranges::generate(loop, [next = 0]() mutable { return next++ % 5; });
    const Sequence shifted(loop.begin() + 3, loop.end());
    CHECK(myers_matches(loop, shifted) == std::vector<Match>{{3, 0, 8997}});
}
