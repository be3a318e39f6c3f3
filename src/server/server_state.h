#pragma once

// What the threads of all connections share. Each part has its own lock; the rest never changes.

#include "server/documents.h"
#include "server/generation.h"
#include "server/metrics.h"
#include "server/server.h"
#include "server/session_pool.h"

#include <pie/model.h>

#include <atomic>
#include <cstdint>
#include <utility>

namespace pie {

struct ServerState {
    ServerState(Model the_model, ServerOptions the_options)
        : model(std::move(the_model)), options(std::move(the_options)),
          pool(model, options.sessions_max, options.requests_max), documents(model, options.documents_max) {}

    GenerationContext generation_context() { return {model, pool, options.n_predict_max}; }

    Model model;
    ServerOptions options;
    SessionPool pool;
    DocumentRegistry documents;
    Metrics metrics;
    std::atomic<bool> stopping = false;
    std::atomic<uint64_t> n_answers = 0; // for their ids
};

} // namespace pie
