#pragma once

// The side-by-side measurement: for each length of context the servers are started, and go through the
// workloads step by step, in turns whose order rotates. What the results hold already is left out.
//
// Thread rule: one thread at a time.

#include "base/progress.h"
#include "bench/serving_results.h"
#include "bench/side_by_side.h"
#include "bench/workloads.h"
#include "eval/source_tree.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pie {

struct ServingPlan {
    std::vector<const Workload*> workloads;
    std::vector<int32_t> contexts;
    size_t n_steps = 0; // of each workload; 0: as many as its entry says
    // Every so many steps, and at the last one, answers out of caches that are not exact are compared with
    // full recompute; 0: never.
    size_t check_every = 8;
};

class ServingRun {
  public:
    // `setting` lacks the context, which is the plan's. All that is handed over outlives the run.
    ServingRun(const LoadedModel& model, const SourceTree& sources, ServerSetting setting,
               RunConditions conditions, ServingPlan plan);

    // Each workload's measurements are added when it is whole. Polls interrupted(). Errors: cancelled,
    // too_large (the model was not trained for such a context), and those of what it uses.
    Result<void> run(ServingResults& results, Progress& progress);

  private:
    struct Context {
        int32_t n_tokens = 0;
        SourceDocument document;
        std::vector<const Workload*> workloads; // that are not measured yet
    };

    Result<std::vector<Context>> unmeasured(const ServingResults& results) const;
    Result<void> measure_context(const Context& context, ServingResults& results, Progress& progress);
    // Of every system that took part, the limit the last.
    Result<std::vector<ServingMeasurement>> measure(SideBySide& side, const Context& context,
                                                    const Workload& workload, Progress& progress);
    enum class Check { leave_out, make };
    Result<void> measure_step(SideBySide& side, const WorkloadStep& step, size_t number, Check check_answers,
                              std::vector<ServingMeasurement>& measurements);
    Result<void> check(SideBySide& side, size_t i, const DocumentState& state, const std::string& answer,
                       ServingMeasurement& measurement) const;
    ServingMeasurement blank(const Context& context, const Workload& workload, std::string_view system) const;
    size_t steps_of(const Workload& workload) const;
    TokenCounter token_counter() const;
    void advance(const Context& context, Progress& progress);

    const LoadedModel& model_;
    const SourceTree& sources_;
    ServerSetting setting_;
    RunConditions conditions_;
    ServingPlan plan_;
    uint64_t work_done_ = 0; // in requests of 1,000 tokens
};

} // namespace pie
