#pragma once

// Products of Q5_0 matrices with tokens, on processors with AVX2: ggml takes each block of weights apart by
// itself, and adds up across the lanes of a vector. Here a lane has a row of its own, since 16 rows lie side
// by side (model/packed_layout.h), and weights that were taken apart serve four tokens. docs/performance.md
// has the figures.
//
// Tokens are rounded as ggml rounds them for this type, sums of a block are exact, and blocks are added up in
// the order of columns whatever the batch: each token gets the same in every one.
//
// Thread rule: pure functions; strips of one product may be computed beside each other.

#include "model/packed_layout.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pie {

// Whether this processor has the instructions.
bool can_multiply_packed();

// A token for one product or several: for each block of 32 columns the integers, then all blocks' scales,
// then what makes up for weights being stored 16 too large.
size_t rounded_token_bytes(int64_t n_columns);

// `rounded` has room for rounded_token_bytes(token.size()).
void round_token(std::span<const float> token, std::byte* rounded);

struct PackedProduct {
    const std::byte* matrix = nullptr; // [n_strips][packed_strip_bytes]
    int64_t n_columns = 0;
    const std::byte* tokens = nullptr; // [n_tokens][rounded_token_bytes(n_columns)]
    int64_t n_tokens = 0;
    float* products = nullptr; // [n_tokens][n_rows()]
    int64_t n_strips = 0;

    int64_t n_rows() const { return n_strips * packed_rows; }
};

void multiply_packed(const PackedProduct& product, int64_t begin_strip, int64_t end_strip);

} // namespace pie
