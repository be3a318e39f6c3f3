#include "server/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pie {
namespace {

tl::unexpected<Error> no_such_document() {
    return fail(ErrorCode::not_found, "there is no such document; PUT its text first");
}

} // namespace

DocumentRegistry::DocumentRegistry(Model model, size_t documents_max)
    : model_(std::move(model)), documents_max_(documents_max) {}

std::shared_ptr<DocumentRegistry::Entry> DocumentRegistry::touch(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) {
        return nullptr;
    }
    found->second->last_use = ++n_uses_;
    return found->second;
}

std::shared_ptr<DocumentRegistry::Entry> DocumentRegistry::touch_or_make(const std::string& id) {
    if (auto entry = touch(id)) {
        return entry;
    }
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= documents_max_) {
        entries_.erase(
            std::ranges::min_element(entries_, {}, [](const auto& entry) { return entry.second->last_use; }));
    }
    auto& entry = entries_[id];
    if (entry == nullptr) { // another thread may have made it by now
        entry = std::make_shared<Entry>(model_.open("document " + id));
    }
    entry->last_use = ++n_uses_;
    return entry;
}

Result<DocumentRegistry::Found> DocumentRegistry::put(const std::string& id, PutDocument put) {
    const auto entry = touch_or_make(id);
    const std::lock_guard lock(entry->mutex);
    PIE_ASSIGN(entry->session_version,
               entry->session.set_document(std::move(put.text), put.cursor, std::move(put.context)));
    entry->version = put.version;
    return entry->found();
}

Result<DocumentRegistry::Outcome> DocumentRegistry::patch(const std::string& id, const PatchDocument& patch) {
    const auto entry = touch(id);
    if (entry == nullptr) {
        return no_such_document();
    }
    const std::lock_guard lock(entry->mutex);
    if (patch.version != entry->version + 1) {
        return Outcome{entry->found(), VersionConflict{entry->version}};
    }
    PIE_ASSIGN(entry->session_version, entry->session.edit(patch.edits, patch.cursor));
    entry->version = patch.version;
    return Outcome{entry->found(), std::nullopt};
}

Result<DocumentRegistry::Outcome> DocumentRegistry::find(const std::string& id, const DocumentPlace& place) {
    const auto entry = touch(id);
    if (entry == nullptr) {
        return no_such_document();
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
            return no_such_document();
        }
        entry = std::move(found->second);
        entries_.erase(found);
    }
    entry->session.forget();
    return {};
}

size_t DocumentRegistry::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace pie
