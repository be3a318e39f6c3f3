#include "cache/kv_cache.h"

#include "base/check.h"
#include "cache/rotation.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

namespace pie {
namespace {

constexpr int32_t cell_granularity = 256; // attention reads the cache in steps of this many rows

Result<void> check_type(ggml_type type, int32_t head_dim) {
    if (!can_rotate(type) || head_dim % ggml_blck_size(type) != 0) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("the cache cannot hold heads of {} elements as {}; use f32, f16, bf16, q8_0 or q4_0 "
                        "where their blocks divide the head",
                        head_dim, ggml_type_name(type)));
    }
    return {};
}

size_t whole_pages(size_t bytes) {
    const size_t page_bytes = AnonymousMemory::page_bytes();
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

// How often a key may be turned before the rounding shows (docs/lab/fidelity.md, drift).
int32_t turns_max(ggml_type type) {
    switch (type) {
    case GGML_TYPE_Q4_0:
        return 4;
    case GGML_TYPE_Q8_0:
        return 32;
    case GGML_TYPE_BF16:
        return 256;
    default:
        return std::numeric_limits<int32_t>::max();
    }
}

// On the host our attention reads the rows of the sequence alone, wherever they are.
Dropped dropped_for(const LoadedModel& model) {
    for (int32_t layer = 0; layer < model.hparams().n_layer; ++layer) {
        if (!ggml_backend_buft_is_host(ggml_backend_dev_buffer_type(model.layer_device(layer)))) {
            return Dropped::lost;
        }
    }
    return Dropped::kept;
}

} // namespace

KvCache::KvCache(int32_t n_cells, ggml_type type_k, Dropped dropped)
    : cells_(n_cells, turns_max(type_k), dropped) {
    static std::atomic<uint64_t> count = 0;
    id_ = ++count;
}

Result<std::unique_ptr<KvCache>> KvCache::create(const LoadedModel& model, const KvCacheOptions& options) {
    PIE_TRY(check_type(options.type_k, model.hparams().head_dim));
    PIE_TRY(check_type(options.type_v, model.hparams().head_dim));
    const int32_t n_cells = (options.n_cells + cell_granularity - 1) / cell_granularity * cell_granularity;
    std::unique_ptr<KvCache> cache(new KvCache(n_cells, options.type_k, dropped_for(model)));
    PIE_TRY(cache->allocate(model, options));
    return cache;
}

Result<void> KvCache::allocate(const LoadedModel& model, const KvCacheOptions& options) {
    const Hyperparameters& hp = model.hparams();
    std::map<ggml_backend_dev_t, ggml_context*> context_of;
    for (int32_t layer = 0; layer < hp.n_layer; ++layer) {
        ggml_context*& context = context_of[model.layer_device(layer)];
        if (context == nullptr) {
            context =
                ggml_init({ggml_tensor_overhead() * 2 * static_cast<size_t>(hp.n_layer), nullptr, true});
            contexts_.emplace_back(context);
        }
        keys_.push_back(ggml_new_tensor_2d(context, options.type_k, hp.n_embd_kv(), cells_.n_cells()));
        values_.push_back(ggml_new_tensor_2d(context, options.type_v, hp.n_embd_kv(), cells_.n_cells()));
    }
    for (const auto& [device, context] : context_of) {
        const bool allocated = ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU
                                   ? allocate_on_host(context)
                                   : allocate_on(device, context);
        if (!allocated) {
            return fail(
                ErrorCode::too_large,
                fmt::format(
                    "no memory for a cache of {} tokens on {}; use a smaller context (-c) or q8_0 keys "
                    "and values",
                    cells_.n_cells(), ggml_backend_dev_name(device)));
        }
    }
    return {};
}

// Each tensor begins at a page, so that rows take the pages that they lie in and no others. Attention
// multiplies masked rows by zero, so that even rows never written must be finite: these pages read as zero.
bool KvCache::allocate_on_host(ggml_context* context) {
    std::vector<std::pair<ggml_tensor*, size_t>> begins;
    size_t bytes = 0;
    for (ggml_tensor* tensor = ggml_get_first_tensor(context); tensor != nullptr;
         tensor = ggml_get_next_tensor(context, tensor)) {
        begins.emplace_back(tensor, bytes);
        bytes += whole_pages(ggml_nbytes(tensor));
    }
    auto memory = AnonymousMemory::allocate(bytes);
    if (!memory) {
        return false;
    }
    auto* data = static_cast<std::byte*>(memory->data());
    buffers_.emplace_back(ggml_backend_cpu_buffer_from_ptr(data, bytes));
    for (const auto& [tensor, begin] : begins) {
        PIE_CHECK(ggml_backend_tensor_alloc(buffers_.back().get(), tensor, data + begin) ==
                      GGML_STATUS_SUCCESS,
                  "a tensor has its place");
    }
    host_memory_.push_back(*std::move(memory));
    return true;
}

bool KvCache::allocate_on(ggml_backend_dev_t device, ggml_context* context) {
    ggml_backend_buffer_t buffer =
        ggml_backend_alloc_ctx_tensors_from_buft(context, ggml_backend_dev_buffer_type(device));
    if (buffer == nullptr) {
        return false;
    }
    ggml_backend_buffer_clear(buffer, 0);
    buffers_.emplace_back(buffer);
    return true;
}

void KvCache::copy_rows(const KvCache& from, std::span<const CellIndex> from_cells,
                        std::span<const CellIndex> to_cells) {
    PIE_CHECK(from.keys_.size() == keys_.size() && from_cells.size() == to_cells.size(),
              "caches that are alike");
    std::vector<std::byte> rows;
    for (size_t i = 0; i < from_cells.size();) {
        size_t n = 1; // in a row in both caches
        while (i + n < from_cells.size() &&
               from_cells[i + n].value == from_cells[i].value + static_cast<int32_t>(n) &&
               to_cells[i + n].value == to_cells[i].value + static_cast<int32_t>(n)) {
            ++n;
        }
        const auto copy = [&](const ggml_tensor* source, ggml_tensor* target) {
            PIE_CHECK(source->type == target->type && source->nb[1] == target->nb[1],
                      "caches that are alike");
            rows.resize(n * source->nb[1]);
            ggml_backend_tensor_get(source, rows.data(),
                                    static_cast<size_t>(from_cells[i].value) * source->nb[1], rows.size());
            ggml_backend_tensor_set(target, rows.data(),
                                    static_cast<size_t>(to_cells[i].value) * target->nb[1], rows.size());
        };
        for (size_t layer = 0; layer < keys_.size(); ++layer) {
            copy(from.keys_[layer], keys_[layer]);
            copy(from.values_[layer], values_[layer]);
        }
        i += n;
    }
}

bool KvCache::is_paged(const ggml_tensor* rows) const {
    return std::ranges::any_of(host_memory_, [rows](const AnonymousMemory& memory) {
        const auto* begin = static_cast<const std::byte*>(memory.data());
        const auto* data = static_cast<const std::byte*>(rows->data);
        return data >= begin && data < begin + memory.size_bytes();
    });
}

size_t KvCache::bytes() const {
    size_t bytes = bytes_max();
    for (const AnonymousMemory& memory : host_memory_) {
        bytes -= memory.size_bytes();
    }
    const auto n_rows = static_cast<size_t>(cells_.n_touched());
    for (size_t layer = 0; layer < keys_.size(); ++layer) {
        for (const ggml_tensor* rows : {keys_[layer], values_[layer]}) {
            bytes += is_paged(rows) ? whole_pages(n_rows * rows->nb[1]) : 0;
        }
    }
    return bytes;
}

void KvCache::give_back() {
    cells_.forget_touched();
    for (AnonymousMemory& memory : host_memory_) {
        memory.give_back();
    }
}

size_t KvCache::bytes_max() const {
    size_t bytes = 0;
    for (const auto& buffer : buffers_) {
        bytes += ggml_backend_buffer_get_size(buffer.get());
    }
    return bytes;
}

} // namespace pie
