#pragma once

// Products of packed matrices with tokens, on processors with AVX2: ggml takes each block of weights apart by
// itself, or for few tokens at a time, and adds up across the lanes of a vector. Here a lane has a row of its
// own, since 16 rows lie side by side (model/packed_layout.h), and weights that were taken apart serve four
// or eight tokens. docs/lab/performance.md has the figures.
//
// Tokens are rounded as ggml rounds them for the type, sums of a block are exact, and blocks are added up in
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

// `rounded` has room for rounded_token_bytes(format, token.size()).
void round_token(PackedFormat format, std::span<const float> token, std::byte* rounded);

struct PackedProduct {
    PackedFormat format{};
    const std::byte* matrix = nullptr; // [n_strips][packed_strip_bytes(format, n_columns)]
    size_t n_columns = 0;
    const std::byte* tokens = nullptr; // [n_tokens][rounded_token_bytes(format, n_columns)]
    size_t n_tokens = 0;
    float* products = nullptr; // [n_tokens][n_rows()]
    size_t n_strips = 0;

    size_t n_rows() const { return n_strips * packed_rows; }
    size_t strip_bytes() const { return packed_strip_bytes(format, n_columns); }
    size_t token_bytes() const { return rounded_token_bytes(format, n_columns); }
};

void multiply_packed(const PackedProduct& product, size_t begin_strip, size_t end_strip);

} // namespace pie
