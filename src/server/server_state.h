#pragma once

// What the threads of all connections share. Each part has its own lock; the rest never changes.

#include "server/byte_budget.h"
#include "server/documents.h"
#include "server/generation.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/session_pool.h"
#include "server/slot_recorder.h"
#include "server/slot_records.h"

#include <pie/model.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pie {

struct Route {
    const char* pattern; // httplib's
    const char* method;
};

struct ServerState {
    ServerState(Model the_model, ServerOptions the_options)
        : model(std::move(the_model)), options(std::move(the_options)),
          pool(model, options.sessions_max, options.requests_max, former_slots(model)),
          documents(model, {.documents_max = options.documents_max,
                            .bytes_max = options.documents_bytes_max,
                            .document_bytes_max = options.body_bytes_max}),
          bodies(options.bodies_bytes_max) {
        if (!model.snapshot_folder().empty()) {
            recorder = std::make_unique<SlotRecorder>(
                pool, SlotRecords(model.snapshot_folder(), model.fingerprint()), options.record_interval_s);
        }
    }

    static std::vector<SlotContent> former_slots(const Model& model) {
        return model.snapshot_folder().empty()
                   ? std::vector<SlotContent>()
                   : SlotRecords(model.snapshot_folder(), model.fingerprint()).load();
    }

    GenerationContext generation_context() { return {model, pool, options.n_predict_max}; }

    Model model;
    ServerOptions options;
    SessionPool pool;
    DocumentRegistry documents;
    ByteBudget bodies;
    std::mutex parsing;        // of a large body
    std::vector<Route> routes; // filled before anything is served
    Metrics metrics;
    std::atomic<bool> stopping = false;
    std::atomic<uint64_t> n_answers = 0;    // for their ids
    std::unique_ptr<SlotRecorder> recorder; // null without snapshots
};

} // namespace pie
