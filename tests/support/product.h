#pragma once

// ggml's product of a matrix with tokens on the CPU, to look at its kernels alone.
//
// Thread rule: pure functions.

#include <ggml.h>

#include <span>
#include <vector>

namespace pie::testing {

// `tokens` [n_tokens][n_columns]; the products [n_tokens][n_rows]. Ends the program where ggml cannot compute
// them.
std::vector<float> product(ggml_tensor* matrix, std::span<const float> tokens);

} // namespace pie::testing
