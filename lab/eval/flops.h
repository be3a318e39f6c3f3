#pragma once

// The arithmetic that an update takes, by a formula and not by counting: each encoded token passes through
// all matrices once (two operations a weight; of experts those that are used), and looks at the whole prompt
// in every layer (four operations an element of a head and token looked at); the last one's logits are one
// product more. What attention masks is counted, too.
//
// Thread rule: immutable; any thread may ask.

#include "model/model.h"

#include <cstdint>

namespace pie {

class FlopFormula {
  public:
    explicit FlopFormula(const LoadedModel& model);

    // Of encoding so many tokens of a prompt of `n_context`.
    double update(double n_encoded, int32_t n_context) const;

  private:
    double a_token_ = 0;           // through the matrices
    double a_token_looked_at_ = 0; // by one token, in all layers
    double output_ = 0;
};

} // namespace pie
