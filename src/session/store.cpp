#include "session/store.h"

#include "base/files.h"
#include "base/sha256.h"
#include "cache/snapshot_file.h"

#include <algorithm>
#include <chrono>
#include <new>
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

// On the writer's thread, or on the model's.
Result<void> write_into(const fs::path& folder, uint64_t size_bytes_max, const fs::path& path,
                        const std::function<Result<void>()>& write) {
    PIE_TRY(create_folder(folder, FileAccess::owner_only));
    PIE_TRY(write());
    keep_folder_within(folder, size_bytes_max, path);
    return {};
}

} // namespace

std::list<DocumentStore::Entry>::iterator DocumentStore::find_entry(std::string_view id) {
    return std::ranges::find(entries_, id, &Entry::id);
}

Result<LiveDocument*> DocumentStore::acquire(std::string_view id, Sources sources) {
    writer_.hear();
    const auto found = find_entry(id);
    if (found != entries_.end()) {
        entries_.splice(entries_.begin(), entries_, found);
        make_room();
        return entries_.front().session.get();
    }
    PIE_ASSIGN(auto session, make_());
    if (sources == Sources::all) {
        session->sequence().set_donors([this] {
            std::vector<LiveSequence*> sequences;
            for (const Entry& entry : entries_) {
                sequences.push_back(&entry.session->sequence());
            }
            return sequences;
        });
    }
    entries_.push_front({std::string(id), std::move(session), sources});
    Entry& entry = entries_.front();
    // Before others are dropped, whose snapshots may drive this one's out of the folder.
    if (auto restored = restore(entry); !restored && restored.error().code != ErrorCode::not_found) {
        tell(id, restored.error());
    }
    make_room();
    return entry.session.get();
}

// Room is left for a copy too, where that does not cost the one document beside that in use.
void DocumentStore::make_room() {
    size_t copy_bytes = 0;
    for (const Entry& entry : entries_) {
        copy_bytes = std::max(copy_bytes, is_saved(entry) ? 0 : CacheCopy::bytes_for(entry.session->cache()));
    }
    const auto is_full = [&] {
        return cache_bytes() + (entries_.size() > 2 ? copy_bytes : 0) > options_.ram_bytes_max;
    };
    while (entries_.size() > 1 && is_full()) {
        drop_oldest();
    }
    if (ram_bytes() > options_.ram_bytes_max) {
        next_copy_.reset();
        writer_.wait();
    }
}

LiveDocument* DocumentStore::find(std::string_view id) {
    const auto found = find_entry(id);
    return found == entries_.end() ? nullptr : found->session.get();
}

void DocumentStore::forget(std::string_view id) {
    entries_.remove_if([id](const Entry& entry) { return entry.id == id; });
    if (!options_.folder.empty()) {
        writer_.add({.path = path_of(id), .write = [path = path_of(id)]() -> Result<void> {
                         std::error_code not_there;
                         fs::remove(path, not_there);
                         return {};
                     }});
    }
}

Result<void> DocumentStore::restore(Entry& entry) {
    if (options_.folder.empty() || entry.sources == Sources::own) {
        return {};
    }
    const fs::path path = path_of(entry.id);
    writer_.wait_for(path);
    LiveSequence& sequence = entry.session->sequence();
    PIE_ASSIGN(auto logits, load_snapshot(path, model_, entry.session->cache()));
    sequence.rewind(sequence.n_tokens(), std::move(logits));
    entry.changes_saved = sequence.changes();
    return {};
}

bool DocumentStore::is_saved(const Entry& entry) const {
    return options_.folder.empty() || entry.sources == Sources::own ||
           entry.session->sequence().changes() == entry.changes_saved;
}

void DocumentStore::save(Entry& entry, const std::shared_ptr<CacheCopy>& copy) {
    const LiveSequence& sequence = entry.session->sequence();
    const KvCache& cache = entry.session->cache();
    const fs::path path = path_of(entry.id);
    entry.changes_saved = sequence.changes(); // unless note_written() hears otherwise
    if (!copy) {
        writer_.wait_for(path); // an older one would take its place
        note_written(entry.id, write_into(options_.folder, options_.folder_bytes_max, path, [&] {
                         return save_snapshot(path, model_, cache, sequence.logits());
                     }));
        return;
    }
    copy->take(model_, cache, sequence.logits());
    writer_.add({.path = path,
                 .write =
                     [copy, path, folder = options_.folder, bytes_max = options_.folder_bytes_max] {
                         return write_into(folder, bytes_max, path, [&] { return copy->save(path); });
                     },
                 .done = [this, id = entry.id](const Result<void>& written) { note_written(id, written); }});
}

void DocumentStore::note_written(std::string_view id, const Result<void>& written) {
    if (written) {
        return;
    }
    if (const auto entry = find_entry(id); entry != entries_.end()) {
        entry->changes_saved = -1;
    }
    tell(id, written.error());
}

void DocumentStore::drop_oldest() {
    Entry& entry = entries_.back();
    if (!is_saved(entry)) {
        save(entry, reserve_copy(*entry.session, entry.session->cache().bytes()));
    }
    if (options_.on_dropped) {
        options_.on_dropped(entry.id);
    }
    entries_.pop_back();
}

std::vector<std::string> DocumentStore::unsaved() const {
    std::vector<std::string> ids;
    for (const Entry& entry : entries_) {
        if (!is_saved(entry)) {
            ids.push_back(entry.id);
        }
    }
    return ids;
}

bool DocumentStore::save_some() {
    if (is_writing()) {
        return true;
    }
    writer_.hear(); // nothing more is to come
    if (!due_) {
        due_ = unsaved();
    }
    for (; !due_->empty(); due_->pop_back()) {
        const auto entry = find_entry(due_->back());
        if (entry == entries_.end() || is_saved(*entry)) {
            next_copy_.reset();
            continue;
        }
        if (!next_copy_ && (next_copy_ = reserve_copy(*entry->session))) {
            writer_.add({.path = path_of(entry->id), .write = [copy = next_copy_]() -> Result<void> {
                             copy->touch();
                             return {};
                         }});
            return true;
        }
        if (next_copy_ && !next_copy_->has_room_for(entry->session->cache())) {
            next_copy_.reset(); // it grew meanwhile
        }
        save(*entry, std::exchange(next_copy_, nullptr));
        due_->pop_back();
        return true;
    }
    due_.reset();
    return false;
}

void DocumentStore::save_all() {
    due_.reset();
    next_copy_.reset();
    writer_.wait();
    writer_.hear();
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        if (!is_saved(*entry)) {
            save(*entry, nullptr);
        }
    }
}

std::shared_ptr<CacheCopy> DocumentStore::reserve_copy(const LiveDocument& session, size_t bytes_soon_free) {
    const size_t bytes = CacheCopy::bytes_for(session.cache());
    if (ram_bytes() - bytes_soon_free + bytes > options_.ram_bytes_max) {
        return nullptr;
    }
    std::erase_if(copies_, [](const auto& counted) { return counted.first.expired(); });
    try {
        auto copy = std::make_shared<CacheCopy>(session.cache());
        copies_.emplace_back(copy, bytes);
        return copy;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// The session in use may grow until the next one is.
size_t DocumentStore::cache_bytes() const {
    size_t bytes = 0;
    for (const Entry& entry : entries_) {
        const KvCache& cache = entry.session->cache();
        bytes += &entry == &entries_.front() ? cache.bytes_max() : cache.bytes();
    }
    return bytes;
}

size_t DocumentStore::held_bytes() const {
    size_t bytes = 0;
    for (const Entry& entry : entries_) {
        bytes += entry.session->cache().bytes();
    }
    return bytes;
}

size_t DocumentStore::ram_bytes() const {
    size_t bytes = cache_bytes();
    for (const auto& [copy, copy_bytes] : copies_) {
        bytes += copy.expired() ? 0 : copy_bytes;
    }
    return bytes;
}

// Ids may be paths or anything else, and the same id under two models is two documents.
fs::path DocumentStore::path_of(std::string_view id) const {
    Sha256 digest;
    digest.update(model_.fingerprint());
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
