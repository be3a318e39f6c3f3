#include "engine/packed_product.h"
#include "model/packed_layout.h"
#include "model/packed_matrix.h"
#include "model/packed_product.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pie {
namespace {

// As ggml calls operators: on each of `nth` threads.
void round_share(ggml_tensor* rounded, int ith, int nth, void* /*userdata*/) {
    const ggml_tensor* tokens = rounded->src[0];
    const PackedFormat format = packed_format(*rounded->src[1]);
    const auto n_columns = static_cast<size_t>(tokens->ne[0]);
    for (int64_t i = ith; i < tokens->ne[1]; i += nth) {
        const auto token = static_cast<size_t>(i);
        const std::byte* from = static_cast<const std::byte*>(tokens->data) + token * tokens->nb[1];
        round_token(format, std::span(reinterpret_cast<const float*>(from), n_columns),
                    static_cast<std::byte*>(rounded->data) + token * rounded->nb[1]);
    }
}

void multiply_share(ggml_tensor* products, int ith, int nth, void* /*userdata*/) {
    const ggml_tensor* matrix = products->src[0];
    const ggml_tensor* rounded = products->src[1];
    const auto n_strips = static_cast<size_t>(matrix->ne[1]);
    const auto share = static_cast<size_t>(ith);
    const auto n_shares = static_cast<size_t>(nth);
    multiply_packed({.format = packed_format(*matrix),
                     .matrix = static_cast<const std::byte*>(matrix->data),
                     .n_columns = static_cast<size_t>(matrix_columns(*matrix)),
                     .tokens = static_cast<const std::byte*>(rounded->data),
                     .n_tokens = static_cast<size_t>(rounded->ne[1]),
                     .products = static_cast<float*>(products->data),
                     .n_strips = n_strips},
                    n_strips * share / n_shares, n_strips * (share + 1) / n_shares);
}

} // namespace

ggml_tensor* build_rounded_tokens(ggml_context* context, ggml_tensor* tokens, ggml_tensor* matrix) {
    std::array arguments = {tokens, matrix};
    const size_t n_bytes = rounded_token_bytes(packed_format(*matrix), static_cast<size_t>(tokens->ne[0]));
    return ggml_custom_4d(context, GGML_TYPE_I8, static_cast<int64_t>(n_bytes), tokens->ne[1], 1, 1,
                          arguments.data(), arguments.size(), round_share, GGML_N_TASKS_MAX, nullptr);
}

bool serves(const ggml_tensor& rounded, const ggml_tensor& tokens, const ggml_tensor& matrix) {
    return rounded.src[0] == &tokens && rounds_alike(packed_format(*rounded.src[1]), packed_format(matrix));
}

ggml_tensor* build_packed_product(ggml_context* context, ggml_tensor* matrix, ggml_tensor* rounded) {
    std::array arguments = {matrix, rounded};
    return ggml_custom_4d(context, GGML_TYPE_F32, matrix_rows(*matrix), rounded->ne[1], 1, 1,
                          arguments.data(), arguments.size(), multiply_share, GGML_N_TASKS_MAX, nullptr);
}

} // namespace pie
