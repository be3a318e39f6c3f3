#pragma once

// Products with packed matrices (model/packed_product.h) as operators of a ggml graph on the host.

#include "model/packed_layout.h"

#include <ggml.h>

namespace pie {

// `tokens` f32 [n_columns, n_tokens] in the form that matrices of the format are multiplied with; serves all
// products with the same tokens and formats that round alike.
ggml_tensor* build_rounded_tokens(ggml_context* context, ggml_tensor* tokens, PackedFormat format);

// f32 [n_rows, n_tokens], of a matrix that is packed.
ggml_tensor* build_packed_product(ggml_context* context, ggml_tensor* matrix, ggml_tensor* rounded);

} // namespace pie
