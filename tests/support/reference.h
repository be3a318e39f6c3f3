#pragma once

// The oracle of the engine: libllama's own decode over the same weights and the same batches, and our engine
// on a plain growing sequence beside it. Nothing but tests calls llama_decode.
//
// Thread rule: each object belongs to one thread.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "model/model.h"
#include "support/tiny_model.h"

#include <pie/types.h>

#include <llama.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pie::testing {

// Writes and loads it; ends the program where that fails. libllama computes with the same matrices unless
// those that are fastest here are asked for.
std::unique_ptr<LoadedModel> load_tiny_model(const TinyModel& description,
                                             MatrixTypes matrix_types = MatrixTypes::file);

std::vector<TokenId> random_tokens(int32_t n, uint32_t seed);

struct DecodeOptions {
    int32_t n_cells = 512;
    int32_t n_batch = 512;
    int32_t n_threads = 1; // both sides alike: attention over many cells divides its sums by threads
    ggml_type type_k = GGML_TYPE_F16;
    ggml_type type_v = GGML_TYPE_F16;
    KernelPath attention =
        KernelPath::graph;                 // ours: libllama's operators, so that logits are equal to the bit
    Products products = Products::fastest; // ours: the same
};

// A context of libllama: flash attention, nothing offloaded, the cache stored as it is.
class Reference {
  public:
    // Ends the program where libllama cannot make the context.
    Reference(const LoadedModel& model, const DecodeOptions& options);

    // Appends tokens as one batch; logits [outputs.size()][n_vocab] of the tokens with these indices,
    // ascending.
    std::vector<float> decode(std::span<const TokenId> tokens, std::span<const int32_t> outputs);

  private:
    struct Free {
        void operator()(llama_context* context) const { llama_free(context); }
    };

    std::unique_ptr<llama_context, Free> context_;
    int32_t n_vocab_;
    int32_t n_past_ = 0;
};

// Our engine and a cache, appending in the same manner.
class Appender {
  public:
    // Ends the program where the engine cannot be made.
    Appender(const LoadedModel& model, const DecodeOptions& options);

    std::vector<float> decode(std::span<const TokenId> tokens, std::span<const int32_t> outputs);

    KvCache& cache() { return *cache_; }
    Engine& engine() { return *engine_; }

  private:
    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<Engine> engine_;
    Products products_;
};

// The value rows of the last layer (of halves) by position; they depend on everything before them.
std::vector<std::vector<float>> last_values(const KvCache& cache);

// Empty where the two are equal to the bit; else where they differ first, how often and how far.
std::string bit_difference(std::span<const float> ours, std::span<const float> theirs);

// Root of the mean square of the difference, over that of `theirs`.
double relative_error(std::span<const float> ours, std::span<const float> theirs);

} // namespace pie::testing
