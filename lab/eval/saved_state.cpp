#include "eval/saved_state.h"

#include <ggml-backend.h>

namespace pie {
namespace {

std::vector<ggml_tensor*> tensors(const KvCache& cache) {
    std::vector<ggml_tensor*> all;
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        all.push_back(cache.keys(layer));
        all.push_back(cache.values(layer));
    }
    return all;
}

} // namespace

SavedState SavedState::save(const LiveSequence& sequence, const KvCache& cache) {
    SavedState state(cache.cells());
    state.cells_.forget_dropped(); // their rows are not saved
    state.logits_.assign(sequence.logits().begin(), sequence.logits().end());
    for (const ggml_tensor* tensor : tensors(cache)) {
        const size_t bytes = static_cast<size_t>(state.cells_.extent()) * tensor->nb[1];
        ggml_backend_tensor_get(tensor, state.rows_.emplace_back(bytes).data(), 0, bytes);
    }
    return state;
}

void SavedState::restore(LiveSequence& sequence, KvCache& cache) const {
    cache.cells() = cells_;
    const std::vector<ggml_tensor*> all = tensors(cache);
    for (size_t i = 0; i < all.size(); ++i) {
        ggml_backend_tensor_set(all[i], rows_[i].data(), 0, rows_[i].size());
    }
    sequence.rewind(cells_.n_tokens(), logits_);
}

} // namespace pie
