#pragma once

// A matrix of a model in memory of its own, in the place of the one that libllama loaded.
//
// Thread rule: immutable once it is filled.

#include <pie/result.h>

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>

#include <array>
#include <cstdint>

namespace pie {

struct MatrixCopy {
    ggml_context_ptr context;
    ggml_backend_buffer_ptr buffer;
    ggml_tensor* tensor;
};

// Columns, rows, and how many of these matrices there are: more than one where a token chooses experts.
using MatrixShape = std::array<int64_t, 3>;

// Still to be filled. Errors: too_large (memory).
Result<MatrixCopy> make_matrix_copy(const char* name, ggml_type type, const MatrixShape& shape,
                                    ggml_backend_buffer_type_t memory);

} // namespace pie
