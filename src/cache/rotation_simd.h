#pragma once

// The host kernels behind rotate_rows (rotation.cpp, which checks what comes in): one entry point that picks,
// at run time, the best of the instruction sets that the binary was compiled for. Private to the rotation.
//
// Thread rule: as rotate_rows; the scratch space belongs to one call.

#include "model/rope.h"

#include <pie/types.h>

#include <ggml.h>

#include <cstddef>
#include <span>

namespace pie {

struct RotationJob {
    std::byte* data = nullptr; // of row 0
    size_t row_bytes = 0;      // from one token's row to the next
    size_t head_bytes = 0;     // from one head to the next
    size_t n_head = 0;
    std::span<const CellIndex> rows;
    RopeLayout layout = RopeLayout::neox;
    size_t n_rot = 0;
    const float* own = nullptr;     // n_rot, see RotationTable
    const float* partner = nullptr; // n_rot
    size_t n_ahead = 1;             // rows from the one being rotated to the one being prefetched
    float* scratch = nullptr;       // quantised types: rotation_scratch_size() floats, aligned for vectors
    size_t n_scratch_blocks = 0;    // that fit there, at least those of one row
};

// Scratch space holds the elements of so many blocks, and behind them, zero at first, two numbers for each
// block and room for a vector to reach past the last.
constexpr size_t rotation_scratch_padding = 16;
constexpr size_t rotation_scratch_size(size_t n_blocks) {
    return 32 * n_blocks + 2 * (n_blocks + rotation_scratch_padding);
}

void rotate_rows_simd(ggml_type type, const RotationJob& job);

} // namespace pie
