#include "bench/serving_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace pie {
namespace {

std::vector<const ServingSystem*> systems_of(const Workload& workload, const ServingPlan& plan) {
    std::vector<const ServingSystem*> systems = plan.systems;
    if (workload.servers == WorkloadServers::ours_alone) {
        std::erase_if(systems, [](const ServingSystem* system) { return system->name != our_system; });
    }
    return systems;
}

class Scheduler {
  public:
    Scheduler(const ServingPlan& plan, const RunConditions& conditions, const LoadedModel& model,
              const SourceTree& sources, const ServingResults& results)
        : plan_(plan), conditions_(conditions), model_(model), sources_(sources), results_(results) {}

    Result<void> add_context(int32_t context, std::vector<ServingGroup>& groups) const {
        std::map<size_t, std::shared_ptr<const SourceDocument>> documents; // by sessions
        ServingGroup shared{.context = context, .n_slots = 1, .systems = plan_.systems, .tasks = {}};
        std::vector<ServingGroup> others;
        PIE_TRY(check_room(shared));
        for (const Workload* workload : plan_.workloads) {
            auto& document = documents[workload->n_sessions];
            if (document == nullptr) {
                PIE_ASSIGN(document, document_for(context, workload->n_sessions));
            }
            const ServingTask task{workload, context, document, steps_of(*workload)};
            const auto systems = systems_of(*workload, plan_);
            if (is_measured(task, systems)) {
                continue;
            }
            if (workload->servers == WorkloadServers::shared) {
                shared.tasks.push_back(task);
            } else {
                others.push_back({context, workload->n_sessions, systems, {task}});
            }
        }
        if (!shared.tasks.empty()) {
            // It is about servers that know nothing yet.
            std::stable_partition(shared.tasks.begin(), shared.tasks.end(),
                                  [](const ServingTask& task) { return task.workload->name == opening; });
            groups.push_back(std::move(shared));
        }
        std::ranges::move(others, std::back_inserter(groups));
        return {};
    }

  private:
    Result<void> check_room(const ServingGroup& group) const {
        if (group.n_ctx() > model_.hparams().n_ctx_train) {
            return fail(ErrorCode::too_large,
                        fmt::format("a context of {} tokens and room to edit it are more than the {} that "
                                    "the model was trained for; give smaller --contexts",
                                    group.context, model_.hparams().n_ctx_train));
        }
        return {};
    }

    Result<std::shared_ptr<const SourceDocument>> document_for(int32_t context, size_t n_sessions) const {
        const size_t n_tokens = static_cast<size_t>(context) * n_sessions;
        PIE_ASSIGN(SourceDocument document,
                   make_document(sources_, n_tokens, conditions_.seed, token_counter(model_)));
        return std::make_shared<const SourceDocument>(std::move(document));
    }

    size_t steps_of(const Workload& workload) const {
        return plan_.n_steps == 0 || workload.name == opening ? workload.n_steps : plan_.n_steps;
    }

    bool is_measured(const ServingTask& task, const std::vector<const ServingSystem*>& systems) const {
        return std::ranges::all_of(systems, [&](const ServingSystem* system) {
            return results_.holds(task.blank(conditions_, system->name));
        });
    }

    const ServingPlan& plan_;
    const RunConditions& conditions_;
    const LoadedModel& model_;
    const SourceTree& sources_;
    const ServingResults& results_;
};

} // namespace

std::vector<WorkloadStep> ServingTask::steps(const TokenCounter& count) const {
    return workload->steps(*workload, {.document = *document, .n_steps = n_steps, .count = count});
}

ServingMeasurement ServingTask::blank(const RunConditions& conditions, std::string_view system) const {
    ServingMeasurement measurement;
    measurement.conditions = conditions;
    measurement.workload = workload->name;
    measurement.context = context;
    measurement.system = system;
    measurement.document = document->digest;
    measurement.n_steps = static_cast<int32_t>(n_steps);
    return measurement;
}

TokenCounter token_counter(const LoadedModel& model) {
    return [&model](std::string_view text) { return model.vocabulary().tokenize(text).size(); };
}

Result<std::vector<ServingGroup>> schedule(const ServingPlan& plan, const RunConditions& conditions,
                                           const LoadedModel& model, const SourceTree& sources,
                                           const ServingResults& results) {
    const Scheduler scheduler(plan, conditions, model, sources, results);
    std::vector<ServingGroup> groups;
    for (const int32_t context : plan.contexts) {
        PIE_TRY(scheduler.add_context(context, groups));
    }
    return groups;
}

} // namespace pie
