#pragma once

// Chooses the next token from logits: the most likely one at temperature 0, else libllama's samplers in the
// order top-k, top-p, min-p, temperature, draw.
//
// Thread rule: one thread at a time; a sampler keeps the state of its random numbers.

#include <pie/types.h>

#include <llama-cpp.h>

#include <cstdint>
#include <span>
#include <vector>

namespace pie {

struct SamplingOptions {
    float temperature = 0.0F; // 0: greedy, and nothing below matters
    int32_t top_k = 40;       // 0: all
    float top_p = 0.95F;      // 1: all
    float min_p = 0.05F;      // 0: all
    uint32_t seed = 0;
};

class Sampler {
  public:
    explicit Sampler(const SamplingOptions& options);

    // `logits` [n_vocab].
    TokenId sample(std::span<const float> logits);

  private:
    SamplingOptions options_;
    llama_sampler_ptr chain_; // null: greedy
    std::vector<llama_token_data> candidates_;
};

} // namespace pie
