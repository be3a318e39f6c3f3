#pragma once

// The side-by-side measurement: for each group of a schedule the servers are started, and go through its
// workloads step by step, in turns whose order rotates. What the results hold already is left out.
//
// Thread rule: one thread at a time.

#include "base/progress.h"
#include "bench/serving_results.h"
#include "bench/serving_schedule.h"
#include "bench/side_by_side.h"
#include "bench/workloads.h"
#include "eval/source_tree.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstddef>
#include <vector>

namespace pie {

class ServingRun {
  public:
    // `setting` lacks context and slots, which are the plan's. All that is handed over outlives the run.
    ServingRun(const LoadedModel& model, const SourceTree& sources, ServerSetting setting,
               RunConditions conditions, ServingPlan plan);

    // Tells first how long it will take. Each workload's measurements are added when it is whole. Polls
    // interrupted(). Errors: cancelled, and those of schedule() and of what it uses.
    Result<void> run(ServingResults& results, Progress& progress);

  private:
    Result<void> measure_group(const ServingGroup& group, ServingResults& results, Progress& progress);
    // Of every system that took part, the limit the last.
    Result<std::vector<ServingMeasurement>> measure(SideBySide& side, const ServingTask& task,
                                                    Progress& progress);
    // Shows server i where the sessions begin, and what was before that.
    Result<void> begin(SideBySide& side, size_t i, const ServingTask& task,
                       const std::vector<WorkloadStep>& steps, Progress& progress);
    enum class Check { leave_out, make };
    Result<void> measure_step(SideBySide& side, const WorkloadStep& step, size_t number, Check check_answers,
                              std::vector<ServingMeasurement>& measurements);
    Result<void> check(SideBySide& side, size_t i, const WorkloadStep& step, const std::string& answer,
                       ServingMeasurement& measurement) const;
    void advance(double milliseconds, Progress& progress);

    const LoadedModel& model_;
    const SourceTree& sources_;
    ServerSetting setting_;
    RunConditions conditions_;
    ServingPlan plan_;
    double done_ms_ = 0; // of the time that was estimated
};

} // namespace pie
