#pragma once

// The least that an update can cost on this machine: one plain batch of as many tokens, behind as many others
// as the update left. What the cache holds of those does not matter to the time, so nothing is computed for
// them.
//
// Thread rule: the model thread.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "model/model.h"

#include <pie/result.h>
#include <pie/types.h>

#include <cstdint>
#include <memory>
#include <span>

namespace pie {

// Behind what the cache holds, which stays as it is. Errors: those of Engine::compute.
Result<double> plain_batch_milliseconds(Engine& engine, KvCache& cache, std::span<const TokenId> tokens);

// Appends tokens for which nothing is computed until there are n_tokens.
void fill_without_encoding(KvCells& cells, int32_t n_tokens);

class PlainBatch {
  public:
    // Errors: those of making a cache of n_cells and an engine. The model outlives it.
    static Result<std::unique_ptr<PlainBatch>> create(const LoadedModel& model, int32_t n_threads,
                                                      int32_t n_cells);

    // Of n_tokens behind n_before others, which fit into the cache together and into a batch.
    Result<double> milliseconds(int32_t n_before, int32_t n_tokens);
    int32_t n_tokens_max() const { return engine_->n_batch(); }

  private:
    PlainBatch(std::unique_ptr<KvCache> cache, std::unique_ptr<Engine> engine)
        : cache_(std::move(cache)), engine_(std::move(engine)) {}

    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<Engine> engine_;
};

} // namespace pie
