#pragma once

// Runs batches of one model on its devices: builds the graph, fills its inputs from the cache's bookkeeping,
// rotates keys that moved, computes. Owns the backends, their scheduler and a pool of threads that lives as
// long as it does.
//
// Thread rule: the model thread alone; the cancel flag may be set from anywhere.

#include "cache/kv_cache.h"
#include "engine/batch_cost.h"
#include "engine/graph.h"
#include "engine/invariant_products.h"
#include "model/model.h"

#include <pie/result.h>
#include <pie/types.h>

#include <ggml-backend.h>
#include <ggml-cpp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace pie {

struct EngineOptions {
    int32_t n_threads = 0; // 0: physical cores
    int32_t n_batch = 512; // most tokens in one graph
    KernelPath rotation = KernelPath::host_first;
    KernelPath attention = KernelPath::host_first;
};

// Several continuations of one sequence in one cache. They are cached in the order in which their tokens
// came, so that a cell's place says no more than when it was written: of the cells from place `begin` on, a
// token sees those of its own branch, and its position is that in its branch.
struct Branches {
    Position begin;
    std::span<const int32_t> of_cells;  // by place, from `begin` on
    std::span<const int32_t> of_tokens; // one a token of the batch
};

// Of weights with a batch: through the kernels that are fastest for so many tokens, or through those that
// give each token the same in every batch.
enum class Products { fastest, batch_invariant };

// Tokens to encode. All spans but `outputs` have one entry a token, positions ascending but for branches.
struct Batch {
    std::span<const TokenId> tokens;
    std::span<const Position> positions;
    std::span<const CellIndex> cells;
    std::span<const int32_t> outputs; // indices of tokens whose logits are wanted; maybe none
    LayerSet observed = {};           // layers whose attention attention() tells
    std::optional<Branches> branches = {};
    Products products = Products::fastest; // batch_invariant: as far as n_invariant() says
    bool can_be_cancelled = true;
};

class Engine {
  public:
    // Errors: internal (a device or the threads cannot be started).
    static Result<std::unique_ptr<Engine>> create(const LoadedModel& model,
                                                  const EngineOptions& options = {});
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Sets memory aside for the largest graph over this cache, so that no later batch fails for want of it.
    // Errors: too_large.
    Result<void> reserve(const KvCache& cache);

    // Encodes a batch of at most n_batch() tokens into the cache; attention sees every cell that has a
    // position up to the token's own, and with branches what they say. Logits are [n_outputs][n_vocab], valid
    // until the next call. Pending rotations are made first. Errors: cancelled, internal; rows of the batch's
    // own cells are undefined then, all others as before.
    Result<std::span<const float>> compute(KvCache& cache, const Batch& batch);

    // What the last token of the last batch paid to each row of the cache, summed over the heads of the
    // batch's observed layers; empty if it observed none. Valid until the next call.
    std::span<const float> attention() const { return attention_; }

    // Rotates the keys that are not where their tokens are. Never cancelled half-way: its cost is
    // milliseconds.
    Result<void> rotate_keys(KvCache& cache);

    // While set, compute() stops between two operators, but for batches that cannot be cancelled. The caller
    // clears it.
    void set_cancel_flag(const std::atomic<bool>* cancel) { cancel_ = cancel; }

    int32_t n_batch() const { return options_.n_batch; }
    // Batches of so many tokens and more are batch-invariant at next to no cost; smaller ones are computed
    // like one of this size. 1 where all are by themselves, and where none can be: with experts, on other
    // devices, and with ggml's attention.
    int32_t n_invariant() const { return invariant_ ? invariant_->n_min() : 1; }
    // A token is encoded alike to the bit in every batch.
    bool is_batch_invariant() const { return invariant_ && invariant_->n_min() == 1; }
    // Whether batches of n_invariant() tokens and more over this cache give each token the same to the bit,
    // wherever in it the tokens before it lie.
    bool rounds_alike(const KvCache& cache) const;
    int32_t n_threads() const { return options_.n_threads; }
    const LoadedModel& model() const { return model_; }
    // Learnt from the batches so far, rotations included.
    const BatchCost& batch_cost() const { return batch_cost_; }
    // Memory beyond weights and cache.
    size_t compute_bytes() const;

  private:
    struct FreePool {
        void operator()(ggml_threadpool* pool) const;
    };

    Engine(const LoadedModel& model, const EngineOptions& options);
    Result<void> start_backends();
    Result<void> prepare_graph(const KvCache& cache, const BatchShape& shape);
    void fill_inputs(const KvCells& cells, const Batch& batch);
    void fill_mask(const KvCells& cells, const Batch& batch);
    void fill_order(const KvCells& cells, const Batch& batch);
    Result<void> run(ggml_status status);
    Result<void> rotate_on_host(KvCache& cache, std::span<const PendingRotation> pending);
    Result<void> rotate_by_graph(KvCache& cache, std::span<const PendingRotation> pending);
    bool rotates_on_host(const ggml_tensor* keys) const;

    const LoadedModel& model_;
    EngineOptions options_;
    std::unique_ptr<ggml_threadpool, FreePool> pool_;
    std::vector<ggml_backend_ptr> backends_; // the CPU last
    ggml_backend_sched_ptr scheduler_;
    const std::atomic<bool>* cancel_ = nullptr;
    bool heeds_cancel_ = true;
    // The last graph, reused while neither shape nor cache change: a decode step then builds nothing.
    Graph graph_;
    BatchShape shape_;
    uint64_t graph_cache_ = 0; // KvCache::id
    std::vector<ggml_fp16_t> mask_;
    std::vector<CellIndex> order_;
    std::vector<float> logits_;
    std::vector<float> attention_;
    BatchCost batch_cost_;
    std::optional<InvariantProducts> invariant_;
};

} // namespace pie
