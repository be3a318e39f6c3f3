#pragma once

// What a live sequence and its cache are at one time, on the host, to be put back as often as is needed.
//
// Thread rule: the model thread alone.

#include "cache/kv_cache.h"
#include "session/live_sequence.h"

#include <cstddef>
#include <vector>

namespace pie {

class SavedState {
  public:
    static SavedState save(const LiveSequence& sequence, const KvCache& cache);
    void restore(LiveSequence& sequence, KvCache& cache) const;

  private:
    explicit SavedState(const KvCells& cells) : cells_(cells) {}

    KvCells cells_;
    // [2 * n_layer], keys and values in turn; rows of the cache behind its extent hold nothing.
    std::vector<std::vector<std::byte>> rows_;
    std::vector<float> logits_;
};

} // namespace pie
