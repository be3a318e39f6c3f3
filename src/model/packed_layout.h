#pragma once

// How a packed Q5_0 matrix lies in memory. A strip is 16 rows. Of each block of 32 columns it holds the rows'
// scales in half precision; then four times 64 bytes, of which byte 4 row + i of the k-th has the low four
// bits of column 4 k + i and, above them, those of column 16 + 4 k + i; then 64 bytes whose byte 4 row + i
// has in bit k the fifth bit of column 4 k + i. 16 is subtracted, as in the file.

#include <cstddef>
#include <cstdint>

namespace pie {

constexpr int64_t packed_rows = 16;       // of a strip
constexpr int64_t packed_block_size = 32; // columns
constexpr size_t packed_block_bytes = 352;

constexpr size_t packed_strip_bytes(int64_t n_columns) {
    return static_cast<size_t>(n_columns / packed_block_size) * packed_block_bytes;
}

} // namespace pie
