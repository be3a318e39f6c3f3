#pragma once

// A KV cache as a file, so that a document whose cache was dropped, or whose process has ended, comes back
// without a prefill: tokens, keys and values, what is known of their exactness, and the last logits. Cells
// keep their numbers, because attention sums in their order: a restored cache computes the same bits as the
// original.
//
// A file is whole or not there, and whatever is not exactly what was saved for this model and this kind of
// cache is refused. It holds the user's text, in tokens, so that only its owner may read it.
//
// Thread rule: the model thread alone.

#include "cache/kv_cache.h"
#include "model/model.h"

#include <pie/result.h>

#include <filesystem>
#include <span>
#include <vector>

namespace pie {

// Outside of an edit. `logits` are those of the last token; none, or one for each entry of the vocabulary.
// A file of this name is replaced, and stays as it is where this fails. Errors: io, not_found (no folder).
Result<void> save_snapshot(const std::filesystem::path& path, const LoadedModel& model, const KvCache& cache,
                           std::span<const float> logits);

// Into a cache without a sequence; returns the logits. Errors: not_found, io, corrupt (damaged, cut off, or
// no snapshot at all), unsupported (another version's), invalid_argument (of another model or another type of
// cache), too_large (the cache has too few cells). The cache has no sequence then, and can be used.
Result<std::vector<float>> load_snapshot(const std::filesystem::path& path, const LoadedModel& model,
                                         KvCache& cache);

} // namespace pie
