#pragma once

// Token sequences and edits drawn at random, for the tests and benchmarks of this room.

#include <pie/types.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace pie {

using Tokens = std::vector<TokenId>;

// Every token of an alphabet is as likely as any other.
inline Tokens uniform_tokens(std::mt19937& random, size_t n_tokens, int32_t alphabet) {
    std::uniform_int_distribution<int32_t> token(0, alphabet - 1);
    Tokens tokens(n_tokens);
    std::ranges::generate(tokens, [&] { return TokenId(token(random)); });
    return tokens;
}

// The n-th most frequent of 5,000 tokens is one n-th as frequent as the first, about as in text.
inline Tokens zipf_tokens(std::mt19937& random, size_t n_tokens) {
    constexpr size_t alphabet = 5000;
    std::vector<double> weights(alphabet);
    for (size_t rank = 0; rank < alphabet; ++rank) {
        weights[rank] = 1.0 / static_cast<double>(rank + 1);
    }
    std::discrete_distribution<int32_t> token(weights.begin(), weights.end());
    Tokens tokens(n_tokens);
    std::ranges::generate(tokens, [&] { return TokenId(token(random)); });
    return tokens;
}

// Half-open, in tokens.
struct Cut {
    std::ptrdiff_t begin = 0;
    std::ptrdiff_t end = 0;
};

inline Cut random_cut(std::mt19937& random, const Tokens& tokens, std::ptrdiff_t length_max) {
    const std::ptrdiff_t begin = std::uniform_int_distribution<std::ptrdiff_t>(0, std::ssize(tokens))(random);
    const std::ptrdiff_t rest = std::min(length_max, std::ssize(tokens) - begin);
    return {begin, begin + std::uniform_int_distribution<std::ptrdiff_t>(0, rest)(random)};
}

inline void insert_at_random(std::mt19937& random, Tokens& tokens, const Tokens& block) {
    const std::ptrdiff_t place = random_cut(random, tokens, 0).begin;
    tokens.insert(tokens.begin() + place, block.begin(), block.end());
}

// Inserts, deletes or replaces up to `length_max` tokens, or moves or duplicates that many.
inline void edit_at_random(std::mt19937& random, Tokens& tokens, const Tokens& inserted,
                           std::ptrdiff_t length_max) {
    const Cut cut = random_cut(random, tokens, length_max);
    const Tokens block(tokens.begin() + cut.begin, tokens.begin() + cut.end);
    enum { insertion, deletion, replacement, move, duplication, n_kinds };
    const auto kind = random() % n_kinds;
    if (kind == deletion || kind == replacement || kind == move) {
        tokens.erase(tokens.begin() + cut.begin, tokens.begin() + cut.end);
    }
    if (kind == insertion || kind == replacement) {
        tokens.insert(tokens.begin() + cut.begin, inserted.begin(), inserted.end());
    }
    if (kind == move || kind == duplication) {
        insert_at_random(random, tokens, block);
    }
}

} // namespace pie
