#pragma once

// A matrix of a model in memory of its own, in the place of the one that libllama loaded.
//
// Thread rule: immutable once it is filled.

#include <pie/result.h>

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>

#include <cstdint>

namespace pie {

struct MatrixCopy {
    ggml_context_ptr context;
    ggml_backend_buffer_ptr buffer;
    ggml_tensor* tensor;
};

// Still to be filled. Errors: too_large (memory).
Result<MatrixCopy> make_matrix_copy(const char* name, ggml_type type, int64_t n_columns, int64_t n_rows,
                                    ggml_backend_buffer_type_t memory);

} // namespace pie
