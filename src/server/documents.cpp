#include "server/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pie {
namespace {

size_t bytes_of(const PutDocument& put) {
    size_t n_bytes = put.text.size() + put.context.file_name.size();
    for (const ContextChunk& chunk : put.context.chunks) {
        n_bytes += chunk.file_name.size() + chunk.text.size();
    }
    return n_bytes;
}

// Of edits whose ranges the text has.
size_t bytes_after(size_t n_bytes, const std::vector<TextEdit>& edits) {
    for (const TextEdit& edit : edits) {
        const size_t n_removed = edit.end < edit.begin ? 0 : edit.end.value - edit.begin.value;
        n_bytes += edit.text.size();
        n_bytes -= std::min(n_bytes, n_removed);
    }
    return n_bytes;
}

} // namespace

Error no_such_document() {
    return {ErrorCode::not_found, "there is no such document; PUT its text first"};
}

DocumentRegistry::DocumentRegistry(Model model, Bounds bounds) : model_(std::move(model)), bounds_(bounds) {}

Result<void> DocumentRegistry::check_size(size_t n_bytes) const {
    if (n_bytes > bounds_.document_bytes_max) {
        return fail(ErrorCode::too_large, fmt::format("the document would have {} bytes, and at most {} are "
                                                      "kept; leave out what is far from the cursor",
                                                      n_bytes, bounds_.document_bytes_max));
    }
    return {};
}

std::shared_ptr<DocumentRegistry::Entry> DocumentRegistry::touch(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) {
        return nullptr;
    }
    found->second->last_use = ++n_uses_;
    return found->second;
}

void DocumentRegistry::keep(const std::string& id, const std::shared_ptr<Entry>& entry, size_t n_bytes) {
    const std::lock_guard lock(mutex_);
    auto& place = entries_[id];
    n_bytes_ += n_bytes - (place == nullptr ? 0 : place->n_bytes);
    place = entry; // another thread may have made one by now: the last text is the document's
    entry->n_bytes = n_bytes;
    entry->last_use = ++n_uses_;
    while (entries_.size() > 1 && (entries_.size() > bounds_.documents_max || n_bytes_ > bounds_.bytes_max)) {
        const auto oldest =
            std::ranges::min_element(entries_, {}, [](const auto& other) { return other.second->last_use; });
        n_bytes_ -= oldest->second->n_bytes;
        entries_.erase(oldest);
    }
}

// A document is kept once its text was taken, so that one that is refused pushes out no other.
Result<DocumentRegistry::Found> DocumentRegistry::put(const std::string& id, PutDocument put) {
    const size_t n_bytes = bytes_of(put);
    PIE_TRY(check_size(n_bytes));
    auto entry = touch(id);
    if (entry == nullptr) {
        entry = std::make_shared<Entry>(model_.open("document " + id));
    }
    const std::lock_guard lock(entry->mutex);
    PIE_ASSIGN(entry->session_version,
               entry->session.set_document(std::move(put.text), put.cursor, std::move(put.context)));
    entry->version = put.version;
    keep(id, entry, n_bytes);
    return entry->found();
}

Result<DocumentRegistry::Outcome> DocumentRegistry::patch(const std::string& id, const PatchDocument& patch) {
    const auto entry = touch(id);
    if (entry == nullptr) {
        return tl::unexpected(no_such_document());
    }
    const std::lock_guard lock(entry->mutex);
    if (patch.version != entry->version + 1) {
        return Outcome{entry->found(), VersionConflict{entry->version}};
    }
    const size_t n_bytes = bytes_after(entry->n_bytes, patch.edits);
    PIE_TRY(check_size(n_bytes));
    PIE_ASSIGN(entry->session_version, entry->session.edit(patch.edits, patch.cursor));
    entry->version = patch.version;
    keep(id, entry, n_bytes);
    return Outcome{entry->found(), std::nullopt};
}

Result<DocumentRegistry::Outcome> DocumentRegistry::find(const std::string& id, const DocumentPlace& place) {
    const auto entry = touch(id);
    if (entry == nullptr) {
        return tl::unexpected(no_such_document());
    }
    const std::lock_guard lock(entry->mutex);
    if (place.version && *place.version != entry->version) {
        return Outcome{entry->found(), VersionConflict{entry->version}};
    }
    if (place.cursor) {
        PIE_ASSIGN(entry->session_version, entry->session.edit({}, *place.cursor));
    }
    return Outcome{entry->found(), std::nullopt};
}

Result<void> DocumentRegistry::remove(const std::string& id) {
    std::shared_ptr<Entry> entry;
    {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(id);
        if (found == entries_.end()) {
            return tl::unexpected(no_such_document());
        }
        entry = std::move(found->second);
        n_bytes_ -= entry->n_bytes;
        entries_.erase(found);
    }
    entry->session.forget();
    return {};
}

bool DocumentRegistry::contains(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    return entries_.contains(id);
}

std::vector<DocumentRegistry::Listed> DocumentRegistry::list() const {
    const std::lock_guard lock(mutex_);
    std::vector<Listed> documents;
    for (const auto& [id, entry] : entries_) {
        documents.push_back({id, entry->n_bytes});
    }
    return documents;
}

size_t DocumentRegistry::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace pie
