#pragma once

// Chooses the next token from logits: the likeliest one at temperature 0, else a draw by libllama's samplers,
// in an order that the caller may give.
//
// Thread rule: one thread at a time. A sampler serves one completion: it keeps the state of its random
// numbers and the tokens that penalties look back on.

#include "model/vocabulary.h"

#include <pie/completion.h>
#include <pie/result.h>
#include <pie/types.h>

#include <llama-cpp.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pie {

class Sampler {
  public:
    // `before` is the sequence to continue, or enough of its end for the penalties. Errors: invalid_argument
    // (an option out of its range, infill over more candidates than it can compare), unsupported (infill with
    // a vocabulary that has no token to end with).
    static Result<Sampler> create(const Vocabulary& vocabulary, const SamplingOptions& options,
                                  std::span<const TokenId> before);

    // `logits` [n_vocab].
    TokenId sample(std::span<const float> logits);

    // Tells the penalties that the sequence goes on with this token.
    void accept(TokenId token);

    // Of the `n` likeliest tokens among those that the last sample() was drawn from.
    TokenProbabilities probabilities(size_t n) const;

  private:
    Sampler() = default;
    void add_stage(const Vocabulary& vocabulary, const SamplingOptions& options, SamplerStage stage);
    std::span<const float> penalise(std::span<const float> logits);
    TokenId choose(std::span<const float> logits);
    TokenId run_chain(std::span<const float> logits);

    std::vector<LogitBias> biases_;
    std::vector<float> biased_; // [n_vocab]
    // Where penalties come first, they are applied to the few tokens that they concern; else in the chain.
    llama_sampler_ptr penalties_;  // null: none, or in the chain
    llama_sampler_ptr chain_;      // null: the likeliest token is taken
    bool draws_ = false;           // the chain ends in a draw, not in the likeliest token
    std::vector<TokenId> recent_;  // what `penalties_` looks back on, and more
    std::vector<float> penalised_; // [n_vocab]
    std::vector<llama_token_data> candidates_;
    size_t n_left_ = 0; // of the candidates, after the last chain
    TokenId chosen_;    // by the last sample()
};

// Of the `n` likeliest tokens by the logits as they are, whatever `taken` was drawn from.
TokenProbabilities probabilities(std::span<const float> logits, TokenId taken, size_t n);

} // namespace pie
