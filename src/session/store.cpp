#include "session/store.h"

#include "base/files.h"
#include "base/sha256.h"
#include "cache/snapshot.h"
#include "cache/snapshot_file.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view snapshot_suffix = ".snapshot";
constexpr std::chrono::hours unfinished_age_max{1}; // no snapshot takes so long to write

struct SnapshotOnDisk {
    fs::path path;
    fs::file_time_type written;
    uint64_t size_bytes = 0;
};

// Snapshots in the order in which they were written. What killed processes left unfinished is removed.
std::vector<SnapshotOnDisk> tidy_snapshots(const fs::path& folder) {
    std::vector<SnapshotOnDisk> snapshots;
    std::error_code error;
    for (fs::directory_iterator file(folder, error); !error && file != fs::directory_iterator();
         file.increment(error)) {
        // Other processes use the folder too: a file may be gone by now.
        std::error_code gone;
        const fs::file_time_type written = file->last_write_time(gone);
        const uint64_t size_bytes = gone ? 0 : file->file_size(gone);
        if (gone) {
            continue;
        }
        if (file->path().extension() == snapshot_suffix) {
            snapshots.push_back({file->path(), written, size_bytes});
        } else if (file->path().extension() == unfinished_suffix &&
                   written + unfinished_age_max < fs::file_time_type::clock::now()) {
            fs::remove(file->path(), gone);
        }
    }
    std::ranges::sort(snapshots, {}, &SnapshotOnDisk::written);
    return snapshots;
}

void keep_folder_within(const fs::path& folder, uint64_t size_bytes_max, const fs::path& newest) {
    const std::vector<SnapshotOnDisk> snapshots = tidy_snapshots(folder);
    uint64_t size_bytes = 0;
    for (const SnapshotOnDisk& snapshot : snapshots) {
        size_bytes += snapshot.size_bytes;
    }
    for (const SnapshotOnDisk& snapshot : snapshots) {
        std::error_code gone;
        if (size_bytes > size_bytes_max && snapshot.path != newest) {
            fs::remove(snapshot.path, gone);
            size_bytes -= snapshot.size_bytes;
        }
    }
}

} // namespace

Result<LiveDocument*> DocumentStore::acquire(std::string_view id) {
    const auto found = std::ranges::find(entries_, id, &Entry::id);
    if (found != entries_.end()) {
        entries_.splice(entries_.begin(), entries_, found);
        return entries_.front().session.get();
    }
    PIE_ASSIGN(auto session, make_());
    fingerprint_ = session->sequence().engine().model().fingerprint();
    session->sequence().set_donors([this] {
        std::vector<LiveSequence*> sequences;
        for (const Entry& entry : entries_) {
            sequences.push_back(&entry.session->sequence());
        }
        return sequences;
    });
    entries_.push_front({std::string(id), std::move(session)});
    Entry& entry = entries_.front();
    // Before others are dropped, whose snapshots may drive this one's out of the folder.
    if (auto restored = restore(entry); !restored && restored.error().code != ErrorCode::not_found) {
        tell(id, restored.error());
    }
    while (ram_bytes() > options_.ram_bytes_max && entries_.size() > 1) {
        drop_oldest();
    }
    return entry.session.get();
}

LiveDocument* DocumentStore::find(std::string_view id) {
    const auto found = std::ranges::find(entries_, id, &Entry::id);
    return found == entries_.end() ? nullptr : found->session.get();
}

void DocumentStore::forget(std::string_view id) {
    entries_.remove_if([id](const Entry& entry) { return entry.id == id; });
    std::error_code not_there;
    fs::remove(path_of(id), not_there);
}

Result<void> DocumentStore::restore(Entry& entry) const {
    if (options_.folder.empty()) {
        return {};
    }
    LiveSequence& sequence = entry.session->sequence();
    PIE_ASSIGN(auto logits,
               load_snapshot(path_of(entry.id), sequence.engine().model(), entry.session->cache()));
    sequence.rewind(sequence.n_tokens(), std::move(logits));
    entry.changes_saved = sequence.changes();
    return {};
}

bool DocumentStore::is_saved(const Entry& entry) const {
    return options_.folder.empty() || entry.session->sequence().changes() == entry.changes_saved;
}

Result<void> DocumentStore::save(Entry& entry) const {
    if (is_saved(entry)) {
        return {};
    }
    const LiveSequence& sequence = entry.session->sequence();
    const fs::path path = path_of(entry.id);
    PIE_TRY(create_folder(options_.folder));
    PIE_TRY(save_snapshot(path, sequence.engine().model(), entry.session->cache(), sequence.logits()));
    entry.changes_saved = sequence.changes();
    keep_folder_within(options_.folder, options_.folder_bytes_max, path);
    return {};
}

void DocumentStore::drop_oldest() {
    Entry& entry = entries_.back();
    if (auto saved = save(entry); !saved) {
        tell(entry.id, saved.error());
    }
    entries_.pop_back();
}

bool DocumentStore::save_one() {
    return std::ranges::any_of(entries_, [this](Entry& entry) {
        if (is_saved(entry)) {
            return false;
        }
        const auto saved = save(entry);
        if (!saved) {
            tell(entry.id, saved.error());
        }
        return saved.has_value();
    });
}

Result<void> DocumentStore::save_all() {
    Result<void> first_error;
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        if (auto saved = save(*entry); !saved && first_error) {
            first_error = std::move(saved);
        }
    }
    return first_error;
}

size_t DocumentStore::ram_bytes() const {
    size_t bytes = 0;
    for (const Entry& entry : entries_) {
        bytes += entry.session->cache().bytes();
    }
    return bytes;
}

// Ids may be paths or anything else, and the same id under two models is two documents.
fs::path DocumentStore::path_of(std::string_view id) const {
    Sha256 digest;
    digest.update(fingerprint_);
    digest.update(id);
    fs::path path = options_.folder / digest.hex_digest();
    path += snapshot_suffix;
    return path;
}

void DocumentStore::tell(std::string_view id, const Error& error) const {
    if (options_.on_trouble) {
        options_.on_trouble(id, error);
    }
}

} // namespace pie
