#pragma once

// How many tokens each product of a model is to be filled up to, so that a token is encoded alike to the bit
// whatever batch it is in (model/batch_invariance.h).
//
// Thread rule: immutable.

#include "model/batch_invariance.h"
#include "model/model.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace pie {

class InvariantProducts {
  public:
    // None where products cannot be made so: with experts, of whom each gets some tokens of a batch, and on
    // other devices than the processor.
    static std::optional<InvariantProducts> create(const LoadedModel& model);

    // Batches of so many tokens and more are filled up by some tokens at the most; smaller ones to this size.
    int32_t n_min() const { return n_min_; }
    // Tokens to multiply with a matrix of a layer, or with the output matrix, so that n of them are.
    int64_t padded(const ggml_tensor& matrix, int64_t n) const;

  private:
    using Kind = std::pair<ggml_type, ggml_backend_buffer_type_t>;
    static Kind kind_of(const ggml_tensor& matrix);
    bool try_out(const ggml_tensor& matrix);

    std::map<Kind, BatchInvariance> kinds_;
    int32_t n_min_ = 1;
};

} // namespace pie
