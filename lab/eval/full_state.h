#pragma once

// The keys and values that a full recompute leaves in the cache, on the host and as floats: what oracles look
// at, to say which kept tokens an edit really changed, and what a method's own cache is compared with.
//
// Thread rule: reading and ranking are the model thread's; a FullState is immutable.

#include "cache/diff.h"
#include "cache/kv_cache.h"

#include <pie/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// Layers [begin, end).
struct LayerRange {
    int32_t begin = 0;
    int32_t end = 0;
};

class FullState {
  public:
    // Of all tokens that the cache holds; the last thing done with it was a full recompute.
    static FullState read(const KvCache& cache);

    int32_t n_layer() const { return static_cast<int32_t>(values_.size()); }
    int32_t n_tokens() const { return n_tokens_; }
    // [n_embd_kv]
    std::span<const float> keys(int32_t layer, Position position) const;
    std::span<const float> values(int32_t layer, Position position) const;

  private:
    int32_t n_tokens_ = 0;
    int32_t width_ = 0; // n_embd_kv
    std::span<const float> row(const std::vector<float>& layer, Position position) const;

    std::vector<std::vector<float>> keys_; // [n_layer][n_tokens * n_embd_kv]
    std::vector<std::vector<float>> values_;
};

// Positions of `full` that the runs keep, largest change first: the norm of the difference between the
// cached token's values, over all layers of the range, and those of the full recompute, as a share of the
// norm of the latter. Runs go from positions of `cache` to positions of `full`. Of equals the earlier one
// comes first.
std::vector<Position> rank_by_value_change(const KvCache& cache, std::span<const KeptRun> kept,
                                           const FullState& full, LayerRange layers);

// By layer: the mean, over positions, of the cosine between what the cache holds of a token and what the full
// recompute has.
struct LayerCosines {
    std::vector<double> keys;
    std::vector<double> values;
};

// Over positions from `begin` on, of which there is at least one. The cache holds the tokens of `full`, and
// keys that are rotated.
LayerCosines layer_cosines(const KvCache& cache, const FullState& full, Position begin);

} // namespace pie
