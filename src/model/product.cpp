#include "model/product.h"

#include "base/check.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml-cpu.h>

namespace pie {

std::vector<float> product(ggml_tensor* matrix, std::span<const float> tokens) {
    const ggml_context_ptr context(ggml_init({1 << 20, nullptr, true}));
    ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, matrix->ne[0],
                                        static_cast<int64_t>(tokens.size()) / matrix->ne[0]);
    ggml_tensor* result = ggml_mul_mat(context.get(), matrix, x);
    const ggml_backend_ptr cpu(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
    ggml_backend_cpu_set_n_threads(cpu.get(), 1);
    const ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors(context.get(), cpu.get()));
    ggml_backend_tensor_set(x, tokens.data(), 0, ggml_nbytes(x));
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, result);
    PIE_CHECK(ggml_backend_graph_compute(cpu.get(), graph) == GGML_STATUS_SUCCESS, "a product is computed");
    std::vector<float> values(static_cast<size_t>(ggml_nelements(result)));
    ggml_backend_tensor_get(result, values.data(), 0, ggml_nbytes(result));
    return values;
}

} // namespace pie
