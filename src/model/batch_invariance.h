#pragma once

// ggml has several kernels for the same product and chooses by how many tokens are multiplied: one token goes
// through another than eight, and the last few of a batch through another than those before them. They sum in
// other orders, so that what a token's product is to the bit depends on its batch. Filled up to a size that
// all of them go through the same kernel with, a batch gives what every larger one does. Which sizes those
// are depends on the type of the weights, how they lie in memory and the processor, so it is tried out.
//
// Thread rule: pure functions.

#include <ggml.h>

#include <cstdint>
#include <optional>

namespace pie {

// Batches of a multiple of `multiple`, at least `n_min`, give each token the same product.
struct BatchInvariance {
    int32_t n_min = 1;
    int32_t multiple = 1;

    // The smallest such batch that has room for n tokens.
    int64_t padded(int64_t n) const;

    bool operator==(const BatchInvariance&) const = default;
};

// Of products with such a matrix, in the memory that it lies in; that must be the processor's. Multiplies
// small matrices for some ten milliseconds, but for packed ones, of which every batch agrees. None where no
// size below 32 will do.
std::optional<BatchInvariance> find_batch_invariance(const ggml_tensor& matrix);

} // namespace pie
