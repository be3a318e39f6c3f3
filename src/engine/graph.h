#pragma once

// The transformer as a ggml graph: one builder for every supported architecture, steered by the table in
// model/hyperparameters.h and by which optional tensors the model has. Operators and their order are those of
// libllama's graphs for the same architectures, so that logits agree with llama_decode to the bit; what
// differs is the cache, whose rows may be in any order, because the mask goes by position, and, where
// attention is computed by our own kernel, the order of its sums (engine/attention.h).

#include "cache/kv_cache.h"
#include "engine/attention.h"
#include "engine/invariant_products.h"
#include "model/model.h"

#include <ggml-cpp.h>
#include <ggml.h>

#include <cstdint>
#include <memory>

namespace pie {

// Layers by their bits; those from the 65th on cannot be named.
struct LayerSet {
    uint64_t bits = 0;

    bool empty() const { return bits == 0; }
    bool has(int32_t layer) const { return layer < 64 && (bits >> static_cast<uint32_t>(layer) & 1U) != 0; }
    bool operator==(const LayerSet&) const = default;
};

// `host_first` takes our own kernels wherever the host can reach what they read; `graph` sends the same work
// through ggml's operators, as other devices need it, which is how machines without such a device test it.
enum class KernelPath { host_first, graph };

// Graphs of equal shape are interchangeable; only their inputs' contents differ.
struct BatchShape {
    int32_t n_tokens = 0;
    int32_t n_kv = 0;                         // rows of the cache that attention reads
    int32_t n_outputs = 0;                    // tokens whose logits are computed
    LayerSet observed;                        // layers whose attention is added up
    KernelPath attention = KernelPath::graph; // host_first: of layers whose cache is on the host
    int32_t n_branches = 1;
    const InvariantProducts* products = nullptr; // null: the fastest

    bool operator==(const BatchShape&) const = default;
};

struct Graph {
    ggml_context_ptr context;
    ggml_cgraph* nodes = nullptr;
    // Inputs, to be filled before each run.
    ggml_tensor* tokens = nullptr;    // i32 [n_tokens]
    ggml_tensor* positions = nullptr; // i32 [n_tokens]
    ggml_tensor* cells = nullptr;     // i64 [n_tokens], the cache rows to write
    // Null where no operator reads it: f16 [n_kv, n_tokens], 0 where attention may look, else -inf.
    ggml_tensor* mask = nullptr;
    ggml_tensor* order = nullptr;    // i32 [n_kv, n_branches], cells by position, or null in the same way
    ggml_tensor* branches = nullptr; // i32 [n_tokens], rows of `order`
    // Null where no outputs are wanted: i32 [n_outputs], indices into the batch; f32 [n_vocab, n_outputs].
    ggml_tensor* outputs = nullptr;
    ggml_tensor* logits = nullptr;
    // f32 [1, n_kv]: what the batch's last token pays to each row, summed over the heads of the observed
    // layers; null where none is observed.
    ggml_tensor* attention = nullptr;
    std::unique_ptr<AttentionShape> attention_shape; // where our kernel finds it
};

// Whether attention of the layer is computed by our own kernel.
bool attends_on_host(const LoadedModel& model, const KvCache& cache, int32_t layer, KernelPath path);

Graph build_graph(const LoadedModel& model, const KvCache& cache, const BatchShape& shape);

// An upper bound for the scheduler's tables.
size_t graph_nodes_max(const LoadedModel& model);

} // namespace pie
