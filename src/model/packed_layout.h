#pragma once

// How packed matrices lie in memory. A strip is 16 rows. It holds blocks of columns one behind the other,
// each with all that there is of its rows.
//
// The weights of 32 columns, as far as four bits hold them, are four times 64 bytes: byte 4 row + i of the
// k-th has column 4 k + i and, in its upper half, column 16 + 4 k + i.
//
// Q5_0, blocks of 32 columns: the rows' scales in half precision; the weights' low bits; 64 bytes whose byte
// 4 row + i has in bit k the fifth bit of column 4 k + i. 16 is subtracted, as in the file.
//
// Q8_0, blocks of 32 columns: the rows' scales in half precision; eight times 64 bytes: byte 4 row + i of the
// k-th has the weight of column 4 k + i, 128 larger than in the file, as one factor of a product has no sign.
//
// Q4_K and Q6_K, blocks of 256 columns. Integers for each row and several columns together ("groups") come in
// pairs of a byte each, for two neighbouring groups: [pairs][16 rows][2].
// Q4_K: the rows' scales in half precision, and what their smallest weights are scaled with; the scales of
// groups of 32 columns, four pairs; their smallest weights, four pairs; the weights of eight times 32
// columns. Q6_K: the rows' scales in half precision; the signed scales of groups of 16 columns, eight pairs;
// for each 32 columns the weights' low bits, and twice 64 bytes with the upper two of each: byte 4 row + i of
// the m-th has, from its lowest bits on, those of columns 8 m + i, 16 + 8 m + i, 4 + 8 m + i and 20 + 8 m +
// i. 32 is subtracted, as in the file.

#include <cstddef>
#include <cstdint>

namespace pie {

// Called as the types of ggml that they are made of.
enum class PackedFormat : int32_t { q5_0, q8_0, q4_k, q6_k };

constexpr size_t packed_rows = 16; // of a strip
constexpr size_t packed_pairs_bytes = 2 * packed_rows;
constexpr size_t packed_halves_bytes = 2 * packed_rows;
constexpr size_t packed_low_bytes = 256; // four bits of 32 columns

// A token is rounded as ggml rounds it for the type, block by block too: integers of a byte, what makes up
// for weights that are stored too large, and the scale in single precision.
struct RoundedBlock32 {
    static constexpr size_t n_columns = 32;
    static constexpr size_t correction_begin = n_columns; // 32 bits
    static constexpr size_t scale_begin = correction_begin + sizeof(int32_t);
    static constexpr size_t n_bytes = scale_begin + sizeof(float);
};
struct RoundedBlock256 {
    static constexpr size_t n_columns = 256;
    static constexpr size_t sums_of_16_begin = n_columns; // of so many integers, in 16 bits
    static constexpr size_t sums_of_32_begin = sums_of_16_begin + n_columns / 16 * sizeof(int16_t);
    static constexpr size_t scale_begin = sums_of_32_begin + n_columns / 32 * sizeof(int16_t);
    static constexpr size_t n_bytes = scale_begin + sizeof(float);
};

struct PackedBlock {
    size_t n_columns;
    size_t n_bytes;       // of 16 rows
    size_t n_token_bytes; // of a token that is multiplied with them
};

constexpr PackedBlock packed_block(PackedFormat format) {
    switch (format) {
    case PackedFormat::q5_0:
        return {RoundedBlock32::n_columns, packed_halves_bytes + packed_low_bytes + 64,
                RoundedBlock32::n_bytes};
    case PackedFormat::q8_0:
        return {RoundedBlock32::n_columns, packed_halves_bytes + 2 * packed_low_bytes,
                RoundedBlock32::n_bytes};
    case PackedFormat::q4_k:
        return {RoundedBlock256::n_columns,
                2 * packed_halves_bytes + 8 * packed_pairs_bytes + 8 * packed_low_bytes,
                RoundedBlock256::n_bytes};
    case PackedFormat::q6_k:
        return {RoundedBlock256::n_columns,
                packed_halves_bytes + 8 * packed_pairs_bytes + 8 * (packed_low_bytes + 128),
                RoundedBlock256::n_bytes};
    }
    return {};
}

constexpr size_t packed_strip_bytes(PackedFormat format, size_t n_columns) {
    return n_columns / packed_block(format).n_columns * packed_block(format).n_bytes;
}

constexpr size_t rounded_token_bytes(PackedFormat format, size_t n_columns) {
    return n_columns / packed_block(format).n_columns * packed_block(format).n_token_bytes;
}

// Whether tokens that were rounded for matrices of one format serve those of the other.
constexpr bool rounds_alike(PackedFormat a, PackedFormat b) {
    return packed_block(a).n_columns == packed_block(b).n_columns;
}

} // namespace pie
