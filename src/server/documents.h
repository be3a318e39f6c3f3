#pragma once

// Live documents: texts that a client names, keeps here and edits, so that each edit is in the cache before
// anyone asks for a completion. The client counts versions as the Language Server Protocol does: an edit
// brings the version after the one it was made on, and one that does not fit is refused, so that the two
// texts can never drift apart.
//
// Thread rule: any thread. A document's edits are made one after the other.

#include "server/document_request.h"

#include <pie/model.h>
#include <pie/result.h>
#include <pie/session.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pie {

// A client's version does not fit the server's.
struct VersionConflict {
    int64_t version; // that the server has
};

Error no_such_document();

class DocumentRegistry {
  public:
    struct Bounds {
        size_t documents_max;
        size_t bytes_max;          // the texts and contexts of all
        size_t document_bytes_max; // of one
    };
    // Where there is more than the bounds allow, the document that was not used for longest gives way; its
    // client hears that there is none, and sends the text again.
    DocumentRegistry(Model model, Bounds bounds);

    // A document, and how far its client and the cache are.
    struct Found {
        Session session;
        int64_t version;         // the client's
        int64_t session_version; // what Session calls the same
    };

    // Errors: too_large, and those of Session::set_document. Nothing has changed then.
    Result<Found> put(const std::string& id, PutDocument put);

    // Errors: not_found, too_large, and those of Session::edit. A conflict changes nothing.
    using Outcome = std::pair<Found, std::optional<VersionConflict>>;
    Result<Outcome> patch(const std::string& id, const PatchDocument& patch);

    // Moves the cursor, if that is wanted, and hands out the session. Errors: as above.
    Result<Outcome> find(const std::string& id, const DocumentPlace& place);

    // Drops a document and what is cached of it. Errors: not_found.
    Result<void> remove(const std::string& id);

    bool contains(const std::string& id) const;

    struct Listed {
        std::string id;
        size_t n_bytes; // text and context
    };
    std::vector<Listed> list() const;

    size_t size() const;

  private:
    struct Entry {
        explicit Entry(Session its_session) : session(std::move(its_session)) {}
        std::mutex mutex; // of what follows, but the last two
        Session session;
        int64_t version = 0;
        int64_t session_version = 0;
        uint64_t last_use = 0;
        size_t n_bytes = 0;

        Found found() const { return {session, version, session_version}; }
    };
    std::shared_ptr<Entry> touch(const std::string& id);
    // Has the entry under its name, with as many bytes, and makes others give way to it.
    void keep(const std::string& id, const std::shared_ptr<Entry>& entry, size_t n_bytes);
    Result<void> check_size(size_t n_bytes) const;

    Model model_;
    Bounds bounds_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Entry>> entries_;
    size_t n_bytes_ = 0; // of all entries
    uint64_t n_uses_ = 0;
};

} // namespace pie
