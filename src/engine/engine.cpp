#include "engine/engine.h"

#include "base/check.h"
#include "base/elapsed.h"
#include "engine/threads.h"

#include <fmt/format.h>
#include <ggml-cpu.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

namespace pie {
namespace {

constexpr int32_t kv_granularity = 256; // as libllama pads, so that graphs are reused and equal to the bit

int32_t rows_read(const KvCells& cells) {
    const int32_t padded = (cells.extent() + kv_granularity - 1) / kv_granularity * kv_granularity;
    return std::min(cells.n_cells(), std::max(kv_granularity, padded));
}

std::vector<int32_t> distinct(std::span<const int32_t> numbers) {
    const std::set<int32_t> ordered(numbers.begin(), numbers.end());
    return {ordered.begin(), ordered.end()};
}

int32_t n_branches(const Batch& batch) {
    return batch.branches ? static_cast<int32_t>(distinct(batch.branches->of_tokens).size()) : 1;
}

void set_input(ggml_tensor* tensor, const void* data) {
    ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
}

// Of a graph without the tensor there is nothing to read.
void read_output(const ggml_tensor* tensor, std::vector<float>& values) {
    values.resize(tensor == nullptr ? 0 : static_cast<size_t>(ggml_nelements(tensor)));
    if (tensor != nullptr) {
        ggml_backend_tensor_get(tensor, values.data(), 0, ggml_nbytes(tensor));
    }
}

} // namespace

void Engine::FreePool::operator()(ggml_threadpool* pool) const {
    ggml_threadpool_free(pool);
}

Engine::Engine(const LoadedModel& model, const EngineOptions& options) : model_(model), options_(options) {
    if (options_.n_threads <= 0) {
        options_.n_threads = physical_core_count();
    }
}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(const LoadedModel& model, const EngineOptions& options) {
    std::unique_ptr<Engine> engine(new Engine(model, options));
    PIE_TRY(engine->start_backends());
    if (options.attention == KernelPath::host_first) { // ggml's depends on the batch
        engine->invariant_ = InvariantProducts::create(model);
    }
    return engine;
}

Result<void> Engine::start_backends() {
    std::set<ggml_backend_dev_t> devices;
    for (int32_t layer = 0; layer < model_.hparams().n_layer; ++layer) {
        devices.insert(model_.layer_device(layer));
    }
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    devices.erase(cpu);
    for (ggml_backend_dev_t device : devices) {
        backends_.emplace_back(ggml_backend_dev_init(device, nullptr));
    }
    backends_.emplace_back(ggml_backend_dev_init(cpu, nullptr));
    for (const auto& backend : backends_) {
        if (backend == nullptr) {
            return fail(ErrorCode::internal, "a compute device cannot be started; try -ngl 0");
        }
    }
    ggml_threadpool_params pool = ggml_threadpool_params_default(options_.n_threads);
    // Between two graphs threads watch for work for milliseconds, as long as a token is chosen, where ggml's
    // 50 are a tenth of a second and more, in which they would take cores from the editor behind each answer.
    pool.poll = 1;
    pool_.reset(ggml_threadpool_new(&pool));
    if (pool_ == nullptr) {
        return fail(ErrorCode::internal,
                    fmt::format("{} threads cannot be started; try fewer (-t)", options_.n_threads));
    }
    ggml_backend_t cpu_backend = backends_.back().get();
    ggml_backend_cpu_set_n_threads(cpu_backend, options_.n_threads);
    ggml_backend_cpu_set_threadpool(cpu_backend, pool_.get());
    ggml_backend_cpu_set_abort_callback(
        cpu_backend,
        [](void* self) {
            const auto& engine = *static_cast<const Engine*>(self);
            return engine.heeds_cancel_ && engine.cancel_ != nullptr &&
                   engine.cancel_->load(std::memory_order_relaxed);
        },
        this);

    std::vector<ggml_backend_t> order;
    for (const auto& backend : backends_) {
        order.push_back(backend.get());
    }
    scheduler_.reset(ggml_backend_sched_new(order.data(), nullptr, static_cast<int>(order.size()),
                                            graph_nodes_max(model_), false, true));
    return {};
}

Result<void> Engine::reserve(const KvCache& cache) {
    const int32_t n_cells = cache.cells().n_cells();
    graph_ = {}; // its memory goes to the largest one
    const int32_t n_batch = std::min(options_.n_batch, n_cells);
    for (const int32_t n_tokens : {n_batch, std::max(1, n_batch - 1)}) { // the latter may be filled up
        const Graph largest = build_graph(model_, cache,
                                          {.n_tokens = n_tokens,
                                           .n_kv = n_cells,
                                           .n_outputs = 1,
                                           .observed = {},
                                           .attention = options_.attention,
                                           .products = invariant_ ? &*invariant_ : nullptr});
        if (!ggml_backend_sched_reserve(scheduler_.get(), largest.nodes)) {
            return fail(ErrorCode::too_large,
                        fmt::format("no memory to compute batches of {} tokens over a context of {}; "
                                    "use a smaller context (-c)",
                                    options_.n_batch, n_cells));
        }
    }
    return {};
}

bool Engine::rounds_alike(const KvCache& cache) const {
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        if (!attends_on_host(model_, cache, layer, options_.attention)) {
            return false;
        }
    }
    return invariant_.has_value();
}

size_t Engine::compute_bytes() const {
    size_t bytes = 0;
    for (const auto& backend : backends_) {
        bytes += ggml_backend_sched_get_buffer_size(scheduler_.get(), backend.get());
    }
    return bytes;
}

Result<void> Engine::prepare_graph(const KvCache& cache, const BatchShape& shape) {
    if (graph_.nodes != nullptr && shape == shape_ && graph_cache_ == cache.id()) {
        return {};
    }
    graph_ = build_graph(model_, cache, shape);
    shape_ = shape;
    graph_cache_ = cache.id();
    ggml_backend_sched_reset(scheduler_.get());
    if (!ggml_backend_sched_alloc_graph(scheduler_.get(), graph_.nodes)) {
        graph_ = {};
        return fail(ErrorCode::too_large,
                    fmt::format("no memory to compute a batch of {} tokens", shape.n_tokens));
    }
    return {};
}

void Engine::fill_inputs(const KvCells& cells, const Batch& batch) {
    set_input(graph_.tokens, batch.tokens.data());
    set_input(graph_.positions, batch.positions.data());
    const std::vector<int64_t> rows = [&] {
        std::vector<int64_t> result;
        for (const CellIndex cell : batch.cells) {
            result.push_back(cell.value);
        }
        return result;
    }();
    set_input(graph_.cells, rows.data());
    if (graph_.outputs != nullptr) {
        set_input(graph_.outputs, batch.outputs.data());
    }
    if (graph_.mask != nullptr) {
        fill_mask(cells, batch);
    }
    if (graph_.order != nullptr) {
        fill_order(cells, batch);
    }
}

// Each branch has an order of its own: what stands before the branches, and then its own cells. Nobody reads
// beyond a token's position.
void Engine::fill_order(const KvCells& cells, const Batch& batch) {
    const auto n_kv = static_cast<size_t>(shape_.n_kv);
    order_.assign(n_kv * static_cast<size_t>(shape_.n_branches), CellIndex(0));
    std::vector<int32_t> row_of(batch.tokens.size(), 0);
    if (!batch.branches) {
        for (int32_t i = 0; i <= batch.positions.back().value; ++i) {
            order_[static_cast<size_t>(i)] = cells.cell_at(Position(i));
        }
    } else {
        const std::vector<int32_t> branches = distinct(batch.branches->of_tokens);
        const int32_t begin = batch.branches->begin.value;
        for (size_t row = 0; row < branches.size(); ++row) {
            auto next = order_.begin() + static_cast<std::ptrdiff_t>(row * n_kv);
            for (int32_t i = 0; i < cells.n_tokens(); ++i) {
                if (i < begin || batch.branches->of_cells[static_cast<size_t>(i - begin)] == branches[row]) {
                    *next++ = cells.cell_at(Position(i));
                }
            }
        }
        std::ranges::transform(batch.branches->of_tokens, row_of.begin(), [&](int32_t branch) {
            return static_cast<int32_t>(std::ranges::find(branches, branch) - branches.begin());
        });
    }
    set_input(graph_.order, order_.data());
    set_input(graph_.branches, row_of.data());
}

void Engine::fill_mask(const KvCells& cells, const Batch& batch) {
    const ggml_fp16_t visible = ggml_fp32_to_fp16(0.0F);
    const ggml_fp16_t masked = ggml_fp32_to_fp16(-INFINITY);
    const auto n_kv = static_cast<size_t>(shape_.n_kv);
    std::vector<uint32_t> position_of(n_kv); // hidden cells are -1, hence larger than any position
    for (size_t i = 0; i < n_kv; ++i) {
        position_of[i] = static_cast<uint32_t>(cells.position_of(CellIndex(static_cast<int32_t>(i))).value);
    }
    mask_.resize(n_kv * batch.tokens.size());
    for (size_t t = 0; t < batch.tokens.size(); ++t) {
        ggml_fp16_t* row = mask_.data() + t * n_kv;
        if (batch.branches) {
            const auto begin = static_cast<uint32_t>(batch.branches->begin.value);
            const std::span<const int32_t> branch_of = batch.branches->of_cells;
            const int32_t own = batch.branches->of_tokens[t];
            for (size_t i = 0; i < n_kv; ++i) {
                const uint32_t behind = position_of[i] - begin;
                const bool is_own = behind < branch_of.size() && branch_of[behind] == own;
                row[i] = position_of[i] < begin || is_own ? visible : masked;
            }
            continue;
        }
        const auto own = static_cast<uint32_t>(batch.positions[t].value);
        for (size_t i = 0; i < n_kv; ++i) {
            row[i] = position_of[i] <= own ? visible : masked;
        }
    }
    set_input(graph_.mask, mask_.data());
}

Result<void> Engine::run(ggml_status status) {
    switch (status) {
    case GGML_STATUS_SUCCESS:
        return {};
    case GGML_STATUS_ABORTED:
        return fail(ErrorCode::cancelled, "the computation was cancelled");
    default:
        return fail(ErrorCode::internal,
                    fmt::format("a compute device failed ({})", ggml_status_to_string(status)));
    }
}

Result<std::span<const float>> Engine::compute(KvCache& cache, const Batch& batch) {
    const auto n_tokens = static_cast<int32_t>(batch.tokens.size());
    PIE_CHECK(n_tokens > 0 && n_tokens <= options_.n_batch, "a batch holds 1 to n_batch tokens");
    PIE_CHECK(!batch.outputs.empty() || batch.observed.empty(), "what is observed leads to an output");
    const auto start = std::chrono::steady_clock::now();
    PIE_TRY(rotate_keys(cache));
    const bool is_invariant = invariant_ && batch.products == Products::batch_invariant;
    const BatchShape shape{.n_tokens = n_tokens,
                           .n_kv = rows_read(cache.cells()),
                           .n_outputs = static_cast<int32_t>(batch.outputs.size()),
                           .observed = batch.observed,
                           .attention = options_.attention,
                           .n_branches = n_branches(batch),
                           .products = is_invariant ? &*invariant_ : nullptr};
    PIE_TRY(prepare_graph(cache, shape));
    fill_inputs(cache.cells(), batch);
    heeds_cancel_ = batch.can_be_cancelled;
    PIE_TRY(run(ggml_backend_sched_graph_compute(scheduler_.get(), graph_.nodes)));
    read_output(graph_.logits, logits_);
    read_output(graph_.attention, attention_);
    if (!batch.outputs.empty()) { // without, it costs less than what somebody waits for
        batch_cost_.record(n_tokens, milliseconds_since(start));
    }
    return std::span<const float>(logits_);
}

} // namespace pie
