#include "model/packed_matrix.h"

#include "base/check.h"
#include "model/packed_product.h"
#include "model/repacking.h"

#include <ggml-cpu.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace pie {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks lie in memory as in the file");

constexpr size_t half_bytes = 2;                // of a number in half precision
constexpr size_t group_bytes = 4 * packed_rows; // of four columns

uint32_t read_bytes(const std::byte* from) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, from, sizeof(bytes));
    return bytes;
}

void write_bytes(std::byte* to, uint32_t bytes) {
    std::memcpy(to, &bytes, sizeof(bytes));
}

// Of each of four bytes.
constexpr uint32_t low_four_bits = 0x0F0F0F0F;
constexpr uint32_t low_two_bits = 0x03030303;

// Four bits as the lowest of four bytes.
constexpr std::array<uint32_t, 16> spread = [] {
    std::array<uint32_t, 16> bytes{};
    for (uint32_t bits = 0; bits < bytes.size(); ++bits) {
        for (uint32_t i = 0; i < 4; ++i) {
            bytes[bits] |= (bits >> i & 1U) << (8 * i);
        }
    }
    return bytes;
}();

// Each of the functions below is given one row's block as files have it, and the packed block with the row's
// number.

// In the file: the scale, a fifth bit for each weight, and the low bits of both halves above each other.
void pack_q5_0(const std::byte* file, size_t row, std::byte* packed) {
    constexpr size_t fifth_bytes = 4;
    std::memcpy(packed + row * half_bytes, file, half_bytes);
    std::byte* low = packed + packed_halves_bytes + 4 * row;
    for (size_t k = 0; k < 4; ++k) {
        write_bytes(low + k * group_bytes, read_bytes(file + half_bytes + fifth_bytes + 4 * k));
    }
    const uint32_t bits = read_bytes(file + half_bytes);
    uint32_t transposed = 0;
    for (uint32_t k = 0; k < 8; ++k) {
        transposed |= spread[bits >> (4 * k) & 15U] << k;
    }
    write_bytes(packed + packed_halves_bytes + packed_low_bytes + 4 * row, transposed);
}

// In the file: the scale, and a byte for each weight.
void pack_q8_0(const std::byte* file, size_t row, std::byte* packed) {
    constexpr uint32_t sign_bits = 0x80808080; // turned: 128 is added
    std::memcpy(packed + row * half_bytes, file, half_bytes);
    std::byte* weights = packed + packed_halves_bytes + 4 * row;
    for (size_t k = 0; k < 8; ++k) {
        write_bytes(weights + k * group_bytes, read_bytes(file + half_bytes + 4 * k) ^ sign_bits);
    }
}

void write_pair_member(std::byte* pairs, size_t row, size_t group, uint32_t value) {
    pairs[group / 2 * packed_pairs_bytes + 2 * row + group % 2] = static_cast<std::byte>(value);
}

// In the file: two scales; of eight groups six bits each of scale and smallest weight, those of the last four
// in the four bits of bytes of their own and the upper two of the others'; then, for each 64 columns, the
// second 32 above the first.
void pack_q4_k(const std::byte* file, size_t row, std::byte* packed) {
    std::memcpy(packed + row * half_bytes, file, half_bytes);
    std::memcpy(packed + packed_halves_bytes + row * half_bytes, file + half_bytes, half_bytes);
    std::byte* scales = packed + 2 * packed_halves_bytes;
    std::byte* smallest = scales + 4 * packed_pairs_bytes;
    const std::byte* six_bits = file + 2 * half_bytes;
    for (size_t i = 0; i < 4; ++i) {
        const auto scale = std::to_integer<uint32_t>(six_bits[i]);
        const auto least = std::to_integer<uint32_t>(six_bits[4 + i]);
        const auto both = std::to_integer<uint32_t>(six_bits[8 + i]);
        write_pair_member(scales, row, i, scale & 63U);
        write_pair_member(smallest, row, i, least & 63U);
        write_pair_member(scales, row, 4 + i, (both & 15U) | (scale >> 6U << 4U));
        write_pair_member(smallest, row, 4 + i, both >> 4U | (least >> 6U << 4U));
    }
    const std::byte* weights = six_bits + 12;
    std::byte* low = smallest + 4 * packed_pairs_bytes + 4 * row;
    for (size_t group = 0; group < 8; ++group, low += packed_low_bytes) {
        const uint32_t shift = group % 2 * 4;
        for (size_t k = 0; k < 4; ++k) {
            const std::byte* columns = weights + group / 2 * 32 + 4 * k;
            const uint32_t first = read_bytes(columns) >> shift & low_four_bits;
            const uint32_t second = read_bytes(columns + 16) >> shift & low_four_bits;
            write_bytes(low + k * group_bytes, first | second << 4U);
        }
    }
}

// In the file: for each 128 columns 64 bytes of low bits, the second 64 columns above the first; for each 128
// columns 32 bytes of upper bits, two for each 32 columns; the scales of groups of 16; the scale.
void pack_q6_k(const std::byte* file, size_t row, std::byte* packed) {
    const std::byte* file_upper = file + 128;
    const std::byte* file_scales = file_upper + 64;
    std::memcpy(packed + row * half_bytes, file_scales + 16, half_bytes);
    std::byte* scales = packed + packed_halves_bytes;
    for (size_t group = 0; group < 16; ++group) {
        write_pair_member(scales, row, group, std::to_integer<uint32_t>(file_scales[group]));
    }
    std::byte* low = scales + 8 * packed_pairs_bytes + 4 * row;
    for (size_t i = 0; i < 8; ++i, low += packed_low_bytes + 2 * group_bytes) { // 32 columns each
        const size_t half = i / 4;
        const size_t quarter = i % 4;
        const auto low_bits = [&](size_t column) {
            return read_bytes(file + half * 64 + quarter % 2 * 32 + column) >> (quarter / 2 * 4) &
                   low_four_bits;
        };
        const auto upper_bits = [&](size_t column) {
            return read_bytes(file_upper + half * 32 + column) >> (quarter * 2) & low_two_bits;
        };
        for (size_t k = 0; k < 4; ++k) {
            write_bytes(low + k * group_bytes, low_bits(4 * k) | low_bits(16 + 4 * k) << 4U);
        }
        for (size_t m = 0; m < 2; ++m) {
            write_bytes(low + packed_low_bytes + m * group_bytes,
                        upper_bits(8 * m) | upper_bits(16 + 8 * m) << 2U | upper_bits(4 + 8 * m) << 4U |
                            upper_bits(20 + 8 * m) << 6U);
        }
    }
}

struct Packing {
    ggml_type type;
    PackedFormat format;
    void (*pack_block)(const std::byte* file, size_t row, std::byte* packed);
};

constexpr std::array packings = {Packing{GGML_TYPE_Q5_0, PackedFormat::q5_0, pack_q5_0},
                                 Packing{GGML_TYPE_Q8_0, PackedFormat::q8_0, pack_q8_0},
                                 Packing{GGML_TYPE_Q4_K, PackedFormat::q4_k, pack_q4_k},
                                 Packing{GGML_TYPE_Q6_K, PackedFormat::q6_k, pack_q6_k}};

// Null where the type is not packed.
const Packing* packing_of(ggml_type type) {
    const auto* const found = std::ranges::find(packings, type, &Packing::type);
    return found == packings.end() ? nullptr : found;
}

// ggml repacks this type wherever ours can be multiplied too, and of its kernels those with AMX alone are the
// faster ones (docs/lab/performance.md).
bool is_packed_rather_than_repacked(ggml_type type) {
    return type == GGML_TYPE_Q4_K && ggml_cpu_has_amx_int8() == 0;
}

} // namespace

bool is_to_be_packed(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices) {
    const Packing* packing = packing_of(type);
    return packing != nullptr && n_matrices == 1 && n_rows % static_cast<int64_t>(packed_rows) == 0 &&
           can_multiply_packed() &&
           (is_packed_rather_than_repacked(type) || repacking_memory(type, n_columns, n_rows) == nullptr);
}

Result<MatrixCopy> pack(const ggml_tensor& matrix) {
    const Packing& packing = *packing_of(matrix.type);
    const PackedBlock block = packed_block(packing.format);
    const size_t n_blocks = static_cast<size_t>(matrix.ne[0]) / block.n_columns;
    const size_t strip_bytes = n_blocks * block.n_bytes;
    const int64_t n_strips = matrix.ne[1] / static_cast<int64_t>(packed_rows);
    PIE_ASSIGN(MatrixCopy copy,
               make_matrix_copy(matrix.name, GGML_TYPE_I8, {static_cast<int64_t>(strip_bytes), n_strips, 1},
                                ggml_backend_cpu_buffer_type()));
    copy.tensor->op_params[0] = static_cast<int32_t>(packing.format);
    const size_t file_block_bytes = ggml_type_size(matrix.type);
    const auto* from = static_cast<const std::byte*>(matrix.data);
    auto* strip = static_cast<std::byte*>(copy.tensor->data);
    for (int64_t i = 0; i < n_strips; ++i, strip += strip_bytes) {
        for (size_t row = 0; row < packed_rows; ++row, from += matrix.nb[1]) {
            for (size_t b = 0; b < n_blocks; ++b) {
                packing.pack_block(from + b * file_block_bytes, row, strip + b * block.n_bytes);
            }
        }
    }
    return copy;
}

bool is_packed(const ggml_tensor& matrix) {
    return matrix.type == GGML_TYPE_I8;
}

PackedFormat packed_format(const ggml_tensor& matrix) {
    PIE_CHECK(is_packed(matrix), "only such matrices have a format");
    return static_cast<PackedFormat>(matrix.op_params[0]);
}

int64_t matrix_columns(const ggml_tensor& matrix) {
    if (!is_packed(matrix)) {
        return matrix.ne[0];
    }
    const PackedBlock block = packed_block(packed_format(matrix));
    return matrix.ne[0] / static_cast<int64_t>(block.n_bytes) * static_cast<int64_t>(block.n_columns);
}

int64_t matrix_rows(const ggml_tensor& matrix) {
    return is_packed(matrix) ? matrix.ne[1] * static_cast<int64_t>(packed_rows) : matrix.ne[1];
}

} // namespace pie
