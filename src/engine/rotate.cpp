// The engine's share of rotating keys: which rows of which layers, on which device, by how many threads.

#include "base/check.h"
#include "cache/rotation.h"
#include "engine/engine.h"

#include <algorithm>

namespace pie {
namespace {

// What the threads of the pool need to know; each takes its share of every layer's rows.
struct HostRotation {
    std::vector<KeyRows> layers;
    std::vector<RotationTable> tables; // one for each entry of `pending`
    std::span<const PendingRotation> pending;
};

void rotate_share(ggml_tensor* /*node*/, int ith, int nth, void* userdata) {
    const auto& work = *static_cast<const HostRotation*>(userdata);
    const auto share = [nth](size_t n, int i) {
        return n * static_cast<size_t>(i) / static_cast<size_t>(nth);
    };
    for (const KeyRows& layer : work.layers) {
        for (size_t i = 0; i < work.pending.size(); ++i) {
            const std::span<const CellIndex> cells = work.pending[i].cells;
            const size_t begin = share(cells.size(), ith);
            rotate_rows(layer, cells.subspan(begin, share(cells.size(), ith + 1) - begin), work.tables[i]);
        }
    }
}

} // namespace

bool Engine::rotates_on_host(const ggml_tensor* keys) const {
    return options_.rotation == KernelPath::host_first && ggml_backend_buffer_is_host(keys->buffer);
}

Result<void> Engine::rotate_keys(KvCache& cache) {
    const std::vector<PendingRotation> pending = cache.cells().pending_rotations();
    if (pending.empty()) {
        return {};
    }
    // In this order, because the first can run out of memory, and then no key must have moved.
    PIE_TRY(rotate_by_graph(cache, pending));
    PIE_TRY(rotate_on_host(cache, pending));
    cache.cells().settle_keys();
    return {};
}

Result<void> Engine::rotate_on_host(KvCache& cache, std::span<const PendingRotation> pending) {
    HostRotation work{.layers = {}, .tables = {}, .pending = pending};
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        ggml_tensor* keys = cache.keys(layer);
        if (rotates_on_host(keys)) {
            work.layers.push_back(
                {static_cast<std::byte*>(keys->data), keys->type, model_.hparams().n_head_kv, keys->nb[1]});
        }
    }
    if (work.layers.empty()) {
        return {};
    }
    for (const PendingRotation& group : pending) {
        work.tables.emplace_back(model_.hparams().rope, group.delta);
    }
    // One custom operator, so that the pool's threads that are awake anyway do the work.
    const size_t bytes = ggml_tensor_overhead() + ggml_graph_overhead_custom(1, false);
    const ggml_context_ptr context(ggml_init({bytes, nullptr, true}));
    ggml_tensor* node = ggml_custom_4d(context.get(), GGML_TYPE_F32, 1, 1, 1, 1, nullptr, 0, rotate_share,
                                       GGML_N_TASKS_MAX, &work);
    const ggml_backend_buffer_ptr buffer(
        ggml_backend_alloc_ctx_tensors(context.get(), backends_.back().get()));
    ggml_cgraph* graph = ggml_new_graph_custom(context.get(), 1, false);
    ggml_build_forward_expand(graph, node);

    const auto* cancel = std::exchange(cancel_, nullptr); // half-rotated keys would be lost
    const ggml_status status = ggml_backend_graph_compute(backends_.back().get(), graph);
    cancel_ = cancel;
    return run(status);
}

Result<void> Engine::rotate_by_graph(KvCache& cache, std::span<const PendingRotation> pending) {
    std::vector<int32_t> rows;
    std::vector<int32_t> deltas;
    for (const PendingRotation& group : pending) {
        for (const CellIndex cell : group.cells) {
            rows.push_back(cell.value);
            deltas.push_back(group.delta);
        }
    }
    const auto n = static_cast<int64_t>(rows.size());
    const size_t nodes_max = 16 * static_cast<size_t>(cache.n_layer()) + 16;
    const size_t bytes = ggml_tensor_overhead() * nodes_max + ggml_graph_overhead_custom(nodes_max, false);
    const ggml_context_ptr context(ggml_init({bytes, nullptr, true}));
    const auto input = [&](ggml_type type) {
        ggml_tensor* tensor = ggml_new_tensor_1d(context.get(), type, n);
        ggml_set_input(tensor);
        return tensor;
    };
    ggml_tensor* rows_input = input(GGML_TYPE_I32);
    ggml_tensor* deltas_input = input(GGML_TYPE_I32);
    ggml_cgraph* graph = ggml_new_graph_custom(context.get(), nodes_max, false);
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        if (!rotates_on_host(cache.keys(layer))) {
            ggml_build_forward_expand(graph, build_rotation(context.get(), cache.keys(layer), rows_input,
                                                            deltas_input, model_.tensor("rope_freqs.weight"),
                                                            model_.hparams().rope));
        }
    }
    if (ggml_graph_n_nodes(graph) == 0) {
        return {};
    }
    graph_ = {}; // the scheduler's memory is about to hold another graph
    ggml_backend_sched_reset(scheduler_.get());
    if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph)) {
        return fail(ErrorCode::too_large, "no memory to move cached keys");
    }
    ggml_backend_tensor_set(rows_input, rows.data(), 0, ggml_nbytes(rows_input));
    ggml_backend_tensor_set(deltas_input, deltas.data(), 0, ggml_nbytes(deltas_input));
    const auto* cancel = std::exchange(cancel_, nullptr);
    const ggml_status status = ggml_backend_sched_graph_compute(scheduler_.get(), graph);
    cancel_ = cancel;
    return run(status);
}

} // namespace pie
