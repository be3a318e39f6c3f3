#pragma once

// Many live documents under one budget of memory. Each has an id, any string, such as the path of its file.
// When their caches together exceed the budget, the documents that were not used for longest are dropped from
// memory; with a folder given they are written to snapshots there first, from which they come back as they
// were, in this process or a later one. A snapshot that cannot be written or read costs time, never
// correctness: the document is encoded anew. A new document copies what another one in memory holds of the
// same beginning.
//
// Thread rule: the model thread alone. Outlived by the Engine that the sessions use.

#include "session/live_document.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace pie {

struct DocumentStoreOptions {
    size_t ram_bytes_max = 0;               // of all caches together; the session in use may exceed it alone
    std::filesystem::path folder = {};      // of the snapshots; empty: a dropped document is forgotten
    uint64_t folder_bytes_max = 8000000000; // the oldest snapshots give way to new ones
    // Hears of snapshots that could not be written (io) or were refused (see load_snapshot).
    std::function<void(std::string_view id, const Error& error)> on_trouble = {};
};

class DocumentStore {
  public:
    using Factory = std::function<Result<std::unique_ptr<LiveDocument>>()>;

    // `make` gives sessions of one model that are alike.
    DocumentStore(DocumentStoreOptions options, Factory make)
        : options_(std::move(options)), make_(std::move(make)) {}
    DocumentStore(const DocumentStore&) = delete; // documents know where they are
    DocumentStore& operator=(const DocumentStore&) = delete;

    // The session of a document: as it was left, where memory or a snapshot holds it, else an empty one. It
    // stays until the next acquire(), which may drop it. Errors: those of `make`; nothing is dropped then.
    Result<LiveDocument*> acquire(std::string_view id);

    // The session of a document that is in memory, else null. It does not count as a use.
    LiveDocument* find(std::string_view id);

    // Drops a document, its snapshot included.
    void forget(std::string_view id);

    // Writes the snapshot of one document in memory that changed since its last one, and tells of those that
    // it could not write before. False where none was written.
    bool save_one();

    // Writes snapshots of all documents in memory that changed since their last ones, the one that was
    // used last at the end. Tries all of them, and tells the first error. Does nothing without a folder.
    Result<void> save_all();

    size_t ram_bytes() const;
    size_t n_sessions() const { return entries_.size(); } // in memory

  private:
    struct Entry {
        std::string id;
        std::unique_ptr<LiveDocument> session;
        int64_t changes_saved = -1; // LiveSequence::changes(); -1: never
    };

    Result<void> restore(Entry& entry) const;
    Result<void> save(Entry& entry) const;
    bool is_saved(const Entry& entry) const;
    void drop_oldest();
    std::filesystem::path path_of(std::string_view id) const;
    void tell(std::string_view id, const Error& error) const;

    DocumentStoreOptions options_;
    Factory make_;
    std::string fingerprint_;  // of the model
    std::list<Entry> entries_; // the one that was used last is the first
};

} // namespace pie
