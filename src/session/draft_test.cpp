#include "session/draft.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace pie {
namespace {

using Tokens = std::vector<TokenId>;

Tokens tokens(std::initializer_list<int32_t> ids) {
    Tokens result;
    for (const int32_t id : ids) {
        result.emplace_back(id);
    }
    return result;
}

// All earlier places, from the longest common ending, counted up to 16, to the shortest.
Tokens naive(const Tokens& sequence, size_t n_max, size_t n_equal_min) {
    for (size_t n = 16; n >= n_equal_min; --n) {
        if (sequence.size() <= n) {
            continue;
        }
        const Tokens ending(sequence.end() - static_cast<std::ptrdiff_t>(n), sequence.end());
        const auto last = std::find_end(sequence.begin(), sequence.end() - 1, ending.begin(), ending.end());
        if (last == sequence.end() - 1) {
            continue;
        }
        Tokens all = sequence;
        const auto from = static_cast<size_t>(last - sequence.begin()) + n;
        for (size_t i = 0; i < n_max; ++i) {
            all.push_back(all[from + i]);
        }
        return {all.end() - static_cast<std::ptrdiff_t>(n_max), all.end()};
    }
    return {};
}

} // namespace

TEST_CASE("a draft is what followed the same tokens before") {
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4}), 3, 4) == tokens({5, 6, 7}));
    // The latest place, but a longer ending before it.
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4, 5, 1, 2, 3, 4, 6, 1, 2, 3, 4}), 1, 4) == tokens({6}));
    CHECK(draft_from_earlier(tokens({9, 1, 2, 3, 4, 5, 1, 2, 3, 4, 6, 9, 1, 2, 3, 4}), 1, 4) == tokens({5}));
    // Over into itself.
    CHECK(draft_from_earlier(tokens({1, 2, 1, 2, 1, 2}), 5, 4) == tokens({1, 2, 1, 2, 1}));
    CHECK(draft_from_earlier(tokens({7, 7, 7, 7, 7}), 3, 4) == tokens({7, 7, 7}));
    // Three tokens are too few.
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4, 5, 2, 3, 4}), 3, 4).empty());
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4, 5, 2, 3, 4}), 3, 3) == tokens({5, 2, 3}));
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4}), 3, 4).empty());
    CHECK(draft_from_earlier({}, 3, 4).empty());
    CHECK(draft_from_earlier(tokens({1, 2, 3, 4, 5, 1, 2, 3, 4}), 0, 4).empty());
}

TEST_CASE("drafts of random sequences are those of the definition") {
    for (uint32_t seed = 1; seed <= 2000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        Tokens sequence(random() % 60);
        std::ranges::generate(sequence, [&random] { return TokenId(static_cast<int32_t>(random() % 2)); });
        const auto n_max = static_cast<int32_t>(random() % 8);
        for (const size_t n_equal_min : {2U, 4U}) {
            CHECK(draft_from_earlier(sequence, n_max, n_equal_min) ==
                  naive(sequence, static_cast<size_t>(n_max), n_equal_min));
        }
    }
}

TEST_CASE("drafts grow while they are right to their end, and shrink when they are not") {
    DraftLength length(12);
    CHECK(length.next() == 3);
    length.record(3, 3);
    CHECK(length.next() == 7);
    length.record(7, 7);
    CHECK(length.next() == 12);
    length.record(12, 11);
    CHECK(length.next() == 6);
    length.record(6, 0);
    length.record(3, 0);
    CHECK(length.next() == 3);
    DraftLength one(1);
    CHECK(one.next() == 1);
    one.record(1, 0);
    CHECK(one.next() == 1);
    CHECK(DraftLength(0).next() == 0);
}

} // namespace pie
