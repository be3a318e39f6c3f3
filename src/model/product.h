#pragma once

// ggml's product of a matrix with tokens on the CPU, for what wants to know of its kernels alone. On one
// thread, which is enough for small matrices.
//
// Thread rule: pure functions.

#include <ggml.h>

#include <span>
#include <vector>

namespace pie {

// `tokens` [n_tokens][n_columns]; the products [n_tokens][n_rows]. Ends the program where ggml cannot compute
// them.
std::vector<float> product(ggml_tensor* matrix, std::span<const float> tokens);

} // namespace pie
