// Caches as files that callers name.

#include "base/files.h"
#include "cache/snapshot.h"
#include "cache/snapshot_file.h"
#include "library/worker.h"

#include <memory>
#include <system_error>
#include <utility>

namespace pie {
namespace {

Result<void> check_filled(LiveDocument& live) {
    if (live.sequence().n_tokens() == 0) {
        return fail(ErrorCode::invalid_argument, "the session has nothing cached that could be saved");
    }
    return {};
}

} // namespace

// The model thread only copies, where the budget has room for a copy; the caller's does what takes time.
Result<SavedCache> Worker::save(DocumentState& document, const std::filesystem::path& path,
                                const std::stop_token& stop) {
    const RequestOptions as_it_is{.preparation = Preparation::source_if_any};
    std::shared_ptr<CacheCopy> copy;
    const Work reserve = [&](LiveDocument& live, const UpdateReport&) -> Result<void> {
        PIE_TRY(check_filled(live));
        copy = store_.reserve_copy(live);
        return {};
    };
    PIE_TRY(perform(document, reserve, stop, as_it_is));
    if (copy) {
        copy->touch();
    }
    SavedCache saved;
    const Work take = [&](LiveDocument& live, const UpdateReport&) -> Result<void> {
        PIE_TRY(check_filled(live)); // it may have been forgotten meanwhile
        saved.tokens = live.sequence().n_tokens();
        if (!copy || !copy->has_room_for(live.cache())) {
            copy.reset();
            return save_snapshot(path, *model_, live.cache(), live.sequence().logits());
        }
        copy->take(*model_, live.cache(), live.sequence().logits());
        return {};
    };
    PIE_TRY(perform(document, take, stop, as_it_is));
    if (copy) {
        PIE_TRY(copy->save(path));
    }
    saved.bytes = file_size_or_zero(path);
    return saved;
}

Result<SavedCache> Worker::restore(DocumentState& document, const std::filesystem::path& path,
                                   const std::stop_token& stop) {
    SavedCache restored;
    const int64_t version = this->stats(document).version;
    const Work restore = [&](LiveDocument& live, const UpdateReport&) -> Result<void> {
        PIE_TRY(SnapshotReader::open(path)); // where it is none, nothing is lost
        live.clear();
        auto logits = load_snapshot(path, *model_, live.cache());
        LiveSequence& sequence = live.sequence();
        Result<void> result;
        if (logits) {
            sequence.rewind(sequence.n_tokens(), *std::move(logits));
        } else {
            result = tl::unexpected<Error>(logits.error());
        }
        restored.tokens = sequence.n_tokens();
        const Lock lock(mutex_);
        SessionStats& stats = document.stats;
        if (result && stats.version == version) { // else a newer text came meanwhile, and stays
            document.source.reset();
            stats = {};
        }
        note_tokens(document, live);
        document.behind = document.source != nullptr;
        document.stale = !sequence.is_healed();
        return result;
    };
    PIE_TRY(perform(document, restore, stop, {.preparation = Preparation::none}));
    restored.bytes = file_size_or_zero(path);
    return restored;
}

} // namespace pie
