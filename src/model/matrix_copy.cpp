#include "model/matrix_copy.h"

#include "base/check.h"

#include <fmt/format.h>

#include <cstddef>
#include <utility>

namespace pie {

Result<MatrixCopy> make_matrix_copy(const char* name, ggml_type type, const MatrixShape& shape,
                                    ggml_backend_buffer_type_t memory) {
    ggml_context_ptr context(ggml_init({ggml_tensor_overhead(), nullptr, true}));
    PIE_CHECK(context != nullptr, "the description of a tensor has room");
    ggml_tensor* tensor = ggml_new_tensor_3d(context.get(), type, shape[0], shape[1], shape[2]);
    ggml_set_name(tensor, name);
    const size_t size = ggml_backend_buft_get_alloc_size(memory, tensor);
    ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(memory, size));
    if (buffer == nullptr) {
        return fail(ErrorCode::too_large,
                    fmt::format("{} bytes of memory for {} cannot be had; close something, or use a smaller "
                                "model",
                                size, name));
    }
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    ggml_backend_tensor_alloc(buffer.get(), tensor, ggml_backend_buffer_get_base(buffer.get()));
    return MatrixCopy{std::move(context), std::move(buffer), tensor};
}

} // namespace pie
