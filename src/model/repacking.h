#pragma once

// Which weights ggml computes with faster on this processor than as they lie in the file: for some types it
// has kernels that go through several rows at once, and rearranges ("repacks") such matrices while a model is
// loaded. Which types these are depends on the processor, so ggml itself is asked. What we widen or pack
// ourselves (model/widening.h, model/packed_matrix.h) counts as well.
//
// Thread rule: pure functions.

#include "model/matrix_copy.h"
#include "model/metadata.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <cstdint>

namespace pie {

// Of the bytes of all matrices that tokens are multiplied with, experts that a token passes by included.
struct RepackedShare {
    uint64_t matrix_bytes = 0;
    uint64_t repacked_bytes = 0;

    double share() const {
        return matrix_bytes == 0 ? 0
                                 : static_cast<double>(repacked_bytes) / static_cast<double>(matrix_bytes);
    }
};

RepackedShare repacked_share(const Metadata& metadata);

// The memory in which this machine lays out such a matrix, or a stack of them where n_matrices is above 1, in
// a way of its own; null where it has none.
ggml_backend_buffer_type_t repacking_memory(ggml_type type, int64_t n_columns, int64_t n_rows,
                                            int64_t n_matrices = 1);

// Of a matrix in host memory, or a stack of them, for which there is such memory: the copy lies there.
// Errors: too_large (memory).
Result<MatrixCopy> repack(const ggml_tensor& matrix);

} // namespace pie
