#include "model/widening.h"

#include "model/repacking.h"

#include <bit>
#include <cstring>

namespace pie {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks lie in memory as in the file");

// A block as files have it. Q5_0: the scale, a fifth bit for each weight, and four bits for each of the first
// half with those of the second above them; 16 is subtracted. Q8_0: the scale, and a byte for each weight.
constexpr size_t block_size = 32;
constexpr size_t scale_bytes = 2;
constexpr size_t q5_bytes = scale_bytes + block_size / 8 + block_size / 2;
constexpr size_t q8_bytes = scale_bytes + block_size;

void widen_block(const std::byte* q5, std::byte* q8) {
    std::memcpy(q8, q5, scale_bytes);
    uint32_t fifth_bits = 0;
    std::memcpy(&fifth_bits, q5 + scale_bytes, sizeof(fifth_bits));
    const std::byte* low = q5 + scale_bytes + sizeof(fifth_bits);
    std::byte* weights = q8 + scale_bytes;
    constexpr size_t half = block_size / 2;
    for (size_t i = 0; i < half; ++i) {
        const auto pair = std::to_integer<uint32_t>(low[i]);
        const uint32_t first = (pair & 15U) | (((fifth_bits >> i) & 1U) << 4U);
        const uint32_t second = (pair >> 4U) | (((fifth_bits >> (i + half)) & 1U) << 4U);
        weights[i] = static_cast<std::byte>(first - 16U);
        weights[i + half] = static_cast<std::byte>(second - 16U);
    }
}

} // namespace

bool is_widened(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices) {
    return type == GGML_TYPE_Q5_0 && n_matrices == 1 &&
           repacking_memory(type, n_columns, n_rows) == nullptr &&
           repacking_memory(GGML_TYPE_Q8_0, n_columns, n_rows) != nullptr;
}

std::vector<std::byte> q8_0_of_q5_0(std::span<const std::byte> blocks) {
    const size_t n_blocks = blocks.size() / q5_bytes;
    std::vector<std::byte> widened(n_blocks * q8_bytes);
    for (size_t i = 0; i < n_blocks; ++i) {
        widen_block(&blocks[i * q5_bytes], &widened[i * q8_bytes]);
    }
    return widened;
}

Result<MatrixCopy> widen(const ggml_tensor& matrix) {
    ggml_backend_buffer_type_t memory = repacking_memory(GGML_TYPE_Q8_0, matrix.ne[0], matrix.ne[1]);
    PIE_ASSIGN(MatrixCopy copy,
               make_matrix_copy(matrix.name, GGML_TYPE_Q8_0, {matrix.ne[0], matrix.ne[1], 1}, memory));
    const std::vector<std::byte> blocks =
        q8_0_of_q5_0({static_cast<const std::byte*>(matrix.data), ggml_nbytes(&matrix)});
    ggml_backend_tensor_set(copy.tensor, blocks.data(), 0, blocks.size());
    return copy;
}

} // namespace pie
