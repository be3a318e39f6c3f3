#include "model/repacking.h"

#include "base/check.h"
#include "model/packed_matrix.h"
#include "model/widening.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>

#include <string_view>

namespace pie {
namespace {

// The kinds of memory in which the processor's backend lays out matrices in its own ways; ends with a null.
const ggml_backend_buffer_type_t* all_repacking_memory(ggml_backend_dev_t cpu) {
    static const ggml_backend_buffer_type_t none = nullptr;
    auto* const get = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
        ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
    const ggml_backend_buffer_type_t* found = get == nullptr ? nullptr : get(cpu);
    return found == nullptr ? &none : found;
}

} // namespace

ggml_backend_buffer_type_t repacking_memory(ggml_type type, int64_t n_columns, int64_t n_rows,
                                            int64_t n_matrices) {
    // The operation as a graph has it, without memory for its operands: what cannot be computed with a matrix
    // in that memory is not put there.
    const ggml_context_ptr context(ggml_init({8 * ggml_tensor_overhead(), nullptr, true}));
    PIE_CHECK(context != nullptr, "a few descriptions of tensors have room");
    ggml_context* const c = context.get();
    ggml_tensor* weights = ggml_new_tensor_3d(c, type, n_columns, n_rows, n_matrices);
    ggml_tensor* input = ggml_new_tensor_3d(c, GGML_TYPE_F32, n_columns, 1, 1);
    const ggml_tensor* product =
        n_matrices == 1 ? ggml_mul_mat(c, weights, input)
                        : ggml_mul_mat_id(c, weights, input, ggml_new_tensor_2d(c, GGML_TYPE_I32, 1, 1));
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    for (const auto* memory = all_repacking_memory(cpu); *memory != nullptr; ++memory) {
        const ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(*memory, 0));
        weights->buffer = buffer.get();
        if (ggml_backend_dev_supports_op(cpu, product)) {
            return *memory;
        }
    }
    return nullptr;
}

RepackedShare repacked_share(const Metadata& metadata) {
    // Without an output matrix of its own, a model has the embedding for one.
    const bool has_output = metadata.tensor_type("output.weight").has_value();
    RepackedShare found;
    const gguf_context* gguf = metadata.get();
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
        const std::string_view name = gguf_get_tensor_name(gguf, i);
        const int64_t* shape = gguf_get_tensor_ne(gguf, i);
        if (shape[1] == 1 || (has_output && name == "token_embd.weight")) {
            continue;
        }
        const uint64_t bytes = gguf_get_tensor_size(gguf, i);
        found.matrix_bytes += bytes;
        const ggml_type type = gguf_get_tensor_type(gguf, i);
        if (repacking_memory(type, shape[0], shape[1], shape[2]) != nullptr ||
            is_widened(type, shape[0], shape[1], shape[2]) ||
            is_to_be_packed(type, shape[0], shape[1], shape[2])) {
            found.repacked_bytes += bytes;
        }
    }
    return found;
}

Result<MatrixCopy> repack(const ggml_tensor& matrix) {
    const MatrixShape shape = {matrix.ne[0], matrix.ne[1], matrix.ne[2]};
    PIE_ASSIGN(MatrixCopy copy,
               make_matrix_copy(matrix.name, matrix.type, shape,
                                repacking_memory(matrix.type, shape[0], shape[1], shape[2])));
    ggml_backend_tensor_set(copy.tensor, matrix.data, 0, ggml_nbytes(&matrix));
    return copy;
}

} // namespace pie
