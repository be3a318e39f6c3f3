#pragma once

// Many live documents under one budget of memory. Each has an id, any string, such as the path of its file.
// When their caches together exceed the budget, the documents that were not used for longest are dropped from
// memory; with a folder given they are written to snapshots there first, from which they come back as they
// were, in this process or a later one. A snapshot that cannot be written or read costs time, never
// correctness: the document is encoded anew. A new document copies what another one in memory holds of the
// same beginning.
//
// Snapshots are written by a thread of the store's own, from copies of the caches, as far as the budget has
// room for copies; else they are written at once, which takes ten times as long as copying.
//
// Thread rule: the model thread alone. Outlived by the model, and by the Engine that the sessions use.

#include "cache/snapshot.h"
#include "session/background_writer.h"
#include "session/live_document.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

// What a new session may take over: from snapshots and other sessions, or nothing; then it has no snapshots
// either.
enum class Sources { all, own };

struct DocumentStoreOptions {
    // Of all caches and copies of them together, as far as they are filled, and of all of the one in use,
    // which may exceed it alone.
    size_t ram_bytes_max = 0;
    std::filesystem::path folder = {};      // of the snapshots; empty: a dropped document is forgotten
    uint64_t folder_bytes_max = 8000000000; // the oldest snapshots give way to new ones
    // Hears of snapshots that could not be written (io) or were refused (see load_snapshot).
    std::function<void(std::string_view id, const Error& error)> on_trouble = {};
    // Hears of documents that acquire() drops from memory.
    std::function<void(std::string_view id)> on_dropped = {};
    // Called on another thread when is_writing() ends.
    std::function<void()> on_written = {};
};

class DocumentStore {
  public:
    using Factory = std::function<Result<std::unique_ptr<LiveDocument>>()>;

    // `make` gives sessions of this model that are alike.
    DocumentStore(const LoadedModel& model, DocumentStoreOptions options, Factory make)
        : model_(model), options_(std::move(options)), make_(std::move(make)), writer_(options_.on_written) {}
    DocumentStore(const DocumentStore&) = delete; // documents know where they are
    DocumentStore& operator=(const DocumentStore&) = delete;

    // The session of a document: as it was left, where memory or a snapshot holds it, else an empty one. It
    // stays until the next acquire(), which may drop it. Errors: those of `make`; nothing is dropped then.
    Result<LiveDocument*> acquire(std::string_view id, Sources sources = Sources::all);

    // The session of a document that is in memory, else null. It does not count as a use.
    LiveDocument* find(std::string_view id);

    // Drops a document, its snapshot included.
    void forget(std::string_view id);

    // A step of writing snapshots of the documents in memory that changed since their last ones, each once,
    // the one that was used last at the end; called until it returns false. It does nothing while something
    // is_writing().
    bool save_some();
    bool is_writing() const { return !writer_.is_idle(); }

    // Writes all of them at once. Does nothing without a folder.
    void save_all();

    // What copies a session's cache without waiting for memory: first memory, which any thread may touch(),
    // then take(). Null where the budget has no room for it; what there is of it counts until it is gone.
    std::shared_ptr<CacheCopy> reserve_copy(const LiveDocument& session) { return reserve_copy(session, 0); }

    size_t ram_bytes() const;  // of caches and copies; the session in use counts as if it were full
    size_t held_bytes() const; // of the caches now
    size_t n_sessions() const { return entries_.size(); } // in memory

  private:
    struct Entry {
        std::string id;
        std::unique_ptr<LiveDocument> session;
        Sources sources;
        int64_t changes_saved = -1; // LiveSequence::changes(); -1: never
    };

    std::list<Entry>::iterator find_entry(std::string_view id);
    Result<void> restore(Entry& entry);
    bool is_saved(const Entry& entry) const;
    std::vector<std::string> unsaved() const;
    // Writes in the background where there is a copy to take.
    void save(Entry& entry, const std::shared_ptr<CacheCopy>& copy);
    void drop_oldest();
    void make_room();
    std::shared_ptr<CacheCopy> reserve_copy(const LiveDocument& session, size_t bytes_soon_free);
    size_t cache_bytes() const;
    std::filesystem::path path_of(std::string_view id) const;
    void note_written(std::string_view id, const Result<void>& written);
    void tell(std::string_view id, const Error& error) const;

    const LoadedModel& model_;
    DocumentStoreOptions options_;
    Factory make_;
    std::list<Entry> entries_; // the one that was used last is the first
    std::vector<std::pair<std::weak_ptr<CacheCopy>, size_t>> copies_; // and their bytes
    std::optional<std::vector<std::string>>
        due_; // what save_some() has still to do of its round, the next at the end
    std::shared_ptr<CacheCopy> next_copy_; // for the next of them
    BackgroundWriter writer_;              // last: it uses what is above
};

} // namespace pie
