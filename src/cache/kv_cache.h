#pragma once

// The KV cache of one sequence: a key and a value tensor for each layer, on the device that holds the layer's
// weights, and the bookkeeping that says what is in their rows.
//
// Thread rule: the model thread alone. Outlived by its LoadedModel.

#include "base/anonymous_memory.h"
#include "cache/cells.h"
#include "model/model.h"

#include <pie/result.h>

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pie {

struct KvCacheOptions {
    int32_t n_cells = 0;              // tokens it can hold, rounded up to a multiple of 256
    ggml_type type_k = GGML_TYPE_F16; // f32, f16, bf16, q8_0 or q4_0
    ggml_type type_v = GGML_TYPE_F16;
};

class KvCache {
  public:
    // Errors: unsupported (a type whose blocks do not divide the heads), too_large (no memory for it).
    static Result<std::unique_ptr<KvCache>> create(const LoadedModel& model, const KvCacheOptions& options);

    // No other cache of the program has it, before or after: an address may come again.
    uint64_t id() const { return id_; }

    KvCells& cells() { return cells_; }
    const KvCells& cells() const { return cells_; }

    ggml_tensor* keys(int32_t layer) const {
        return keys_[static_cast<size_t>(layer)];
    } // [n_embd_kv, n_cells]
    ggml_tensor* values(int32_t layer) const {
        return values_[static_cast<size_t>(layer)];
    } // [n_embd_kv, n_cells]
    int32_t n_layer() const { return static_cast<int32_t>(keys_.size()); }

    // What it takes at most, and what its rows that were written to take now: on devices, and on machines
    // that have other memory than pages, all of it.
    size_t bytes_max() const;
    size_t bytes() const;

    // Without a sequence and without dropped cells to recall: the memory of all rows is free again.
    void give_back();

    // Copies the rows of cells of another cache of the same model and types into these, pair by pair.
    void copy_rows(const KvCache& from, std::span<const CellIndex> from_cells,
                   std::span<const CellIndex> to_cells);

  private:
    KvCache(int32_t n_cells, ggml_type type_k, Dropped dropped);
    Result<void> allocate(const LoadedModel& model, const KvCacheOptions& options);
    // False where there is no memory.
    bool allocate_on_host(ggml_context* context);
    bool allocate_on(ggml_backend_dev_t device, ggml_context* context);
    bool is_paged(const ggml_tensor* rows) const;

    uint64_t id_;
    KvCells cells_;
    std::vector<ggml_tensor*> keys_;
    std::vector<ggml_tensor*> values_;
    std::vector<ggml_context_ptr> contexts_;   // one a device
    std::vector<AnonymousMemory> host_memory_; // of the buffers on the host
    std::vector<ggml_backend_buffer_ptr> buffers_;
};

} // namespace pie
