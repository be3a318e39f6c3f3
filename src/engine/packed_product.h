#pragma once

// Products with packed matrices (model/packed_product.h) as operators of a ggml graph on the host.

#include <ggml.h>

namespace pie {

// `tokens` f32 [n_columns, n_tokens] in the form that a packed matrix is multiplied with.
ggml_tensor* build_rounded_tokens(ggml_context* context, ggml_tensor* tokens, ggml_tensor* matrix);

// Whether that, once built, is what such tokens would be rounded to for this matrix as well.
bool serves(const ggml_tensor& rounded, const ggml_tensor& tokens, const ggml_tensor& matrix);

// f32 [n_rows, n_tokens], of a matrix that is packed.
ggml_tensor* build_packed_product(ggml_context* context, ggml_tensor* matrix, ggml_tensor* rounded);

} // namespace pie
