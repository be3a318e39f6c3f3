#pragma once

// Matrices of quantised weights in the layout of our own products (model/packed_layout.h), where those are
// faster on this processor than ggml's. Every weight and scale stays what it is. A matrix takes as many bytes
// as before, but for Q4_K, whose 4.5 bits a weight become 4.625.
//
// Thread rule: none of its own; a MatrixCopy is immutable.

#include "model/matrix_copy.h"
#include "model/packed_layout.h"

#include <pie/result.h>

#include <ggml.h>

#include <cstdint>

namespace pie {

// Whether such a matrix is to be packed on this machine; never a stack of them, as experts are.
bool is_to_be_packed(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices = 1);

// Of a matrix in host memory for which that holds. The copy is a tensor of bytes, [strip bytes, n_strips].
// Errors: too_large (memory).
Result<MatrixCopy> pack(const ggml_tensor& matrix);

// Of matrices as a model has them: packed or not.
bool is_packed(const ggml_tensor& matrix);
int64_t matrix_columns(const ggml_tensor& matrix);
int64_t matrix_rows(const ggml_tensor& matrix);

// Of a matrix that is packed.
PackedFormat packed_format(const ggml_tensor& matrix);

} // namespace pie
