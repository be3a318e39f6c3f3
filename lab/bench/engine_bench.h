#pragma once

// Times of the engine on one model: throughput at a depth, and what an edit costs beside a plain batch of as
// many tokens, which is the least that it can cost. Every figure comes with what it is measured against,
// taken in turns in the same run, so that a busy machine slows both alike.
//
// Thread rule: the model thread.

#include "engine/engine.h"
#include "model/model.h"
#include "session/live_sequence.h"

#include <pie/result.h>
#include <pie/types.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace pie {

struct Throughput {
    double prefill_tokens_per_s = 0; // of 512 tokens behind `depth` others
    double decode_tokens_per_s = 0;  // of 32 tokens, one by one
};

// Inserting tokens at a quarter of a cached context.
struct EditTiming {
    int32_t tokens_inserted = 0;
    int32_t tokens_encoded = 0; // with seam and query
    int32_t rows_rotated = 0;
    std::vector<double> edit_ms;  // one a repetition, to the logits
    std::vector<double> batch_ms; // a plain batch of tokens_encoded at the end, likewise
};

// Memory beyond the weights for a context of the same size.
struct ModelMemory {
    size_t ours_bytes = 0;
    size_t libllama_bytes = 0;
};

class EngineBench {
  public:
    static constexpr int32_t n_prefill = 512;
    static constexpr int32_t n_decode = 32;
    static constexpr int32_t n_repetitions = 3; // of both, at each call of throughput()

    // Errors: those of loading, and of making a cache for `depth_max` tokens and the work behind them.
    static Result<std::unique_ptr<EngineBench>> create(const std::filesystem::path& model, int32_t n_threads,
                                                       int32_t depth_max);

    Result<Throughput> throughput(int32_t depth);
    Result<EditTiming> edit(int32_t depth, int32_t n_inserted, int32_t repetitions);
    // Of ours and of a libllama context as llama-server makes it.
    Result<ModelMemory> memory() const;

    int32_t n_threads() const { return engine_->n_threads(); }

  private:
    EngineBench(std::unique_ptr<LoadedModel> model, std::unique_ptr<KvCache> cache,
                std::unique_ptr<Engine> engine);
    // The first tokens of a fixed random sequence.
    std::span<const TokenId> tokens(int32_t n) const {
        return std::span(tokens_).first(static_cast<size_t>(n));
    }

    std::unique_ptr<LoadedModel> model_;
    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<Engine> engine_;
    LiveSequence sequence_;
    std::vector<TokenId> tokens_;
};

} // namespace pie
