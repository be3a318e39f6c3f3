#pragma once

// What a public Session holds: its document, which is closed with the last copy.

#include "library/worker.h"

#include <pie/session.h>

#include <memory>
#include <utility>

namespace pie {

struct Session::Handle {
    Handle(std::shared_ptr<Worker> the_worker, std::shared_ptr<DocumentState> the_document)
        : worker(std::move(the_worker)), document(std::move(the_document)) {}
    ~Handle() { worker->close(*document); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    std::shared_ptr<Worker> worker;
    std::shared_ptr<DocumentState> document;
};

} // namespace pie
