#pragma once

// Q5_0 matrices held as Q8_0, where the processor has repacked kernels for the one type and not for the other
// (model/repacking.h). Both are blocks of 32 integers and a scale in half precision, so every weight stays
// what it is; a matrix takes 34 bytes a block for 22.
//
// Thread rule: none of its own; a MatrixCopy is immutable.

#include "model/matrix_copy.h"

#include <pie/result.h>

#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// Whether that is so of such a matrix on this machine; never of a stack of them, as experts are.
bool is_widened(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices = 1);

// Of a matrix in host memory for whose type and shape is_widened holds. Errors: too_large (memory).
Result<MatrixCopy> widen(const ggml_tensor& matrix);

// The blocks of Q8_0 for those of Q5_0.
std::vector<std::byte> q8_0_of_q5_0(std::span<const std::byte> blocks);

} // namespace pie
