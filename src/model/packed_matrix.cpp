#include "model/packed_matrix.h"

#include "model/packed_layout.h"
#include "model/packed_product.h"
#include "model/repacking.h"

#include <array>
#include <bit>
#include <cstring>

namespace pie {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks lie in memory as in the file");

constexpr size_t block_size = packed_block_size;
constexpr size_t scale_bytes = 2;
constexpr size_t fifth_bytes = block_size / 8;
constexpr size_t low_bytes = block_size / 2;
constexpr size_t q5_bytes = scale_bytes + fifth_bytes + low_bytes;
constexpr size_t n_rows_packed = packed_rows;
constexpr size_t group_bytes = 4 * n_rows_packed; // of four columns
static_assert(packed_block_bytes == n_rows_packed * q5_bytes);

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

// One row's part of a packed block.
void pack_block(const std::byte* q5, size_t row, std::byte* packed) {
    std::memcpy(packed + row * scale_bytes, q5, scale_bytes);
    std::byte* low = packed + n_rows_packed * scale_bytes + 4 * row;
    std::byte* fifth = packed + n_rows_packed * (scale_bytes + low_bytes) + 4 * row;
    uint32_t bits = 0;
    std::memcpy(&bits, q5 + scale_bytes, sizeof(bits));
    for (size_t i = 0; i < low_bytes / 4; ++i) {
        std::memcpy(low + i * group_bytes, q5 + scale_bytes + fifth_bytes + 4 * i, 4);
    }
    uint32_t transposed = 0;
    for (uint32_t k = 0; k < block_size / 4; ++k) {
        transposed |= spread[bits >> (4 * k) & 15U] << k;
    }
    std::memcpy(fifth, &transposed, sizeof(transposed));
}

} // namespace

bool is_to_be_packed(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices) {
    return type == GGML_TYPE_Q5_0 && n_matrices == 1 && n_rows % packed_rows == 0 && can_multiply_packed() &&
           repacking_memory(type, n_columns, n_rows) == nullptr;
}

Result<MatrixCopy> pack(const ggml_tensor& matrix) {
    const size_t strip_bytes = packed_strip_bytes(matrix.ne[0]);
    const int64_t n_strips = matrix.ne[1] / packed_rows;
    PIE_ASSIGN(MatrixCopy copy, make_matrix_copy(matrix.name, GGML_TYPE_I8, static_cast<int64_t>(strip_bytes),
                                                 n_strips, ggml_backend_cpu_buffer_type()));
    const auto* from = static_cast<const std::byte*>(matrix.data);
    auto* strip = static_cast<std::byte*>(copy.tensor->data);
    for (int64_t i = 0; i < n_strips; ++i, strip += strip_bytes) {
        for (size_t row = 0; row < n_rows_packed; ++row, from += matrix.nb[1]) {
            for (size_t block = 0; block < static_cast<size_t>(matrix.ne[0]) / block_size; ++block) {
                pack_block(from + block * q5_bytes, row, strip + block * packed_block_bytes);
            }
        }
    }
    return copy;
}

bool is_packed(const ggml_tensor& matrix) {
    return matrix.type == GGML_TYPE_I8;
}

int64_t matrix_columns(const ggml_tensor& matrix) {
    return is_packed(matrix) ? matrix.ne[0] / static_cast<int64_t>(packed_block_bytes) * packed_block_size
                             : matrix.ne[0];
}

int64_t matrix_rows(const ggml_tensor& matrix) {
    return is_packed(matrix) ? matrix.ne[1] * packed_rows : matrix.ne[1];
}

} // namespace pie
