#pragma once

// A KV cache as a file, so that a document whose cache was dropped, or whose process has ended, comes back
// without a prefill: tokens, keys and values, what is known of their exactness, and the last logits. Cells
// keep their order, in which attention on devices sums, but close up.
//
// A file is whole or not there, and whatever is not exactly what was saved for this model and this kind of
// cache is refused. It holds the user's text, in tokens, so that only its owner may read it.
//
// Thread rule: the model thread alone, but for what CacheCopy says.

#include "cache/kv_cache.h"
#include "cache/snapshot_file.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace pie {

// Outside of an edit. `logits` are those of the last token; none, or one for each entry of the vocabulary.
// A file of this name is replaced, and stays as it is where this fails. Errors: io, not_found (no folder).
Result<void> save_snapshot(const std::filesystem::path& path, const LoadedModel& model, const KvCache& cache,
                           std::span<const float> logits);

// What a cache held at one moment, so that its snapshot can be written by another thread while the cache goes
// on. Compressing and flushing take ten times as long as copying.
//
// Thread rule: one thread at a time; take() is called on the model thread.
class CacheCopy {
  public:
    // With memory for what the cache holds, and for some tokens that may come before take().
    explicit CacheCopy(const KvCache& cache);

    // Of such memory.
    static size_t bytes_for(const KvCache& cache);
    bool has_room_for(const KvCache& cache) const;

    // Has the system hand out the memory now, which otherwise takes most of the time of take().
    void touch();
    // The arguments as in save_snapshot(). There must be room.
    void take(const LoadedModel& model, const KvCache& cache, std::span<const float> logits);
    // Of what was taken. Errors: as save_snapshot().
    Result<void> save(const std::filesystem::path& path) const;

  private:
    size_t bytes_;
    std::unique_ptr<char[]> memory_; // the rows of each tensor that are in use, one tensor after another
    SnapshotHeader header_;
    std::vector<CachedToken> tokens_;
    std::vector<float> logits_;
};

// Into a cache without a sequence; returns the logits. Errors: not_found, io, corrupt (damaged, cut off, or
// no snapshot at all), unsupported (another version's), invalid_argument (of another model or another type of
// cache), too_large (the cache has too few cells). The cache has no sequence then, and can be used.
Result<std::vector<float>> load_snapshot(const std::filesystem::path& path, const LoadedModel& model,
                                         KvCache& cache);

} // namespace pie
