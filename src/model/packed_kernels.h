#pragma once

// The kernels behind model/packed_product.h, by the size of blocks: each is compiled once for every
// instruction set.

#include "model/packed_product.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pie {

// Blocks of 32 columns: of a rounded token all integers, then all blocks' scales, then what makes up for
// weights being stored 16 too large.
namespace small_blocks {
bool has_kernel();
size_t rounded_token_bytes(size_t n_columns);
void round_token(std::span<const float> token, std::byte* rounded);
void multiply_strip(const PackedProduct& product, size_t strip);
} // namespace small_blocks

// How a rounded token's block of 256 columns lies in memory: the integers, their sums by 16 and by 32 in
// sixteen bits, and the scale.
struct LargeTokenBlock {
    static constexpr size_t n_columns = 256;
    static constexpr size_t sums_of_16_begin = n_columns;
    static constexpr size_t sums_of_32_begin = sums_of_16_begin + n_columns / 16 * sizeof(int16_t);
    static constexpr size_t scale_begin = sums_of_32_begin + n_columns / 32 * sizeof(int16_t);
    static constexpr size_t n_bytes = scale_begin + sizeof(float);
};

// Blocks of 256 columns.
namespace large_blocks {
size_t rounded_token_bytes(size_t n_columns);
void round_token(std::span<const float> token, std::byte* rounded);
void multiply_strip(const PackedProduct& product, size_t strip);
} // namespace large_blocks

} // namespace pie
