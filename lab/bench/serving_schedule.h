#pragma once

// What of a plan is not measured yet, in the order in which it is measured: for each length of context the
// workloads that go through one set of servers together, then those that have servers of their own.
//
// Thread rule: pure functions.

#include "bench/serving_results.h"
#include "bench/serving_systems.h"
#include "bench/source_document.h"
#include "bench/workloads.h"
#include "eval/source_tree.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pie {

struct ServingPlan {
    std::vector<const Workload*> workloads;
    std::vector<const ServingSystem*> systems;
    std::vector<int32_t> contexts;
    size_t n_steps = 0; // of each workload; 0: as many as its entry says
    // Every so many steps, and at the last one, answers out of caches that are not exact are compared with
    // full recompute; 0: never.
    size_t check_every = 8;
};

struct ServingTask {
    const Workload* workload;
    int32_t context; // tokens of a session's document
    std::shared_ptr<const SourceDocument> document;
    size_t n_steps;
    double estimated_ms = 0; // for all systems together

    std::vector<WorkloadStep> steps(const TokenCounter& count) const;
    ServingMeasurement blank(const RunConditions& conditions, std::string_view system) const;
};

// What one set of servers goes through.
struct ServingGroup {
    int32_t context;
    size_t n_slots;
    std::vector<const ServingSystem*> systems;
    std::vector<ServingTask> tasks;

    // Tokens of a slot: the document, chunks of other files, what is inserted and replayed, and the
    // completion.
    int32_t n_ctx() const { return context + context / 4 + 1280; }
};

TokenCounter token_counter(const LoadedModel& model);

// Errors: too_large (the model was not trained for such a context), invalid_argument (too few sources).
Result<std::vector<ServingGroup>> schedule(const ServingPlan& plan, const RunConditions& conditions,
                                           const LoadedModel& model, const SourceTree& sources,
                                           const ServingResults& results);

} // namespace pie
