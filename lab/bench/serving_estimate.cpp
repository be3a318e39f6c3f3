#include "bench/serving_estimate.h"

#include "base/units.h"
#include "bench/plain_batch.h"
#include "bench/side_by_side.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace pie {
namespace {

constexpr double tokens_beside_the_edit = 30; // seam, repair and the cursor's line, about
constexpr double start_ms = 3000;             // a server's

std::string shown_text(const DocumentState& state) {
    std::string text;
    for (const ContextChunk& chunk : state.chunks) {
        text += chunk.text;
    }
    return text + state.text;
}

size_t common_prefix(std::string_view a, std::string_view b) {
    return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// Of `after`, between what both begin and end with.
size_t changed_bytes(std::string_view before, std::string_view after) {
    const size_t prefix = common_prefix(before, after);
    before.remove_prefix(prefix);
    after.remove_prefix(prefix);
    size_t n = after.size();
    while (n > 0 && !before.empty() && before.back() == after[n - 1]) {
        before.remove_suffix(1);
        --n;
    }
    return n;
}

double task_ms(const ServingTask& task, const std::vector<WorkloadStep>& steps, const ServingGroup& group,
               size_t check_every, WorkEstimate& estimate) {
    const size_t first = steps_before(*task.workload);
    const size_t n_timed = steps.size() - first;
    double sum_ms = 0;
    for (const ServingSystem* system : group.systems) {
        for (size_t i = 0; i < steps.size(); ++i) {
            sum_ms += i < first
                          ? estimate.ask_ms(*system, steps[i], 1)
                          : steps[i].pause_ms + estimate.ask_ms(*system, steps[i], SideBySide::n_predict);
        }
        if (system->name == our_system && first > 0) {
            const auto n_checked = static_cast<double>(check_every == 0 ? 0 : 1 + n_timed / check_every);
            sum_ms += n_checked * estimate.recompute_ms(steps.back(), SideBySide::n_predict);
            // Every edit of an Ageing is a small change of the same document.
            sum_ms += static_cast<double>(task.workload->n_edits) * estimate.ask_ms(*system, steps.back(), 1);
            sum_ms += std::chrono::duration<double, std::milli>(SideBySide::rest_time_max).count();
        }
    }
    return sum_ms;
}

std::string duration_text(double milliseconds) {
    return format_duration(std::chrono::milliseconds(static_cast<int64_t>(milliseconds)));
}

} // namespace

Result<MachineSpeed> measure_speed(const LoadedModel& model, int32_t n_threads, int32_t context) {
    constexpr int32_t n_tokens = 128;
    PIE_ASSIGN(const auto batch, PlainBatch::create(model, n_threads, context / 2 + n_tokens));
    PIE_TRY(batch->milliseconds(context / 2, 1)); // the weights come into memory
    PIE_ASSIGN(const double encode_ms, batch->milliseconds(context / 2, n_tokens));
    PIE_ASSIGN(const double decode_ms, batch->milliseconds(context / 2, 1));
    return MachineSpeed{.encode_ms = encode_ms / n_tokens, .decode_ms = decode_ms};
}

double WorkEstimate::ask_ms(const ServingSystem& system, const WorkloadStep& step, int32_t n_predict) {
    const bool is_ours = system.program == ServerProgram::pie;
    std::string prompt = is_ours ? shown_text(step.state) : fill_prompt(step.state, system.order, names_);
    std::string& seen = seen_[{system.name, step.session}];
    const size_t n_bytes =
        is_ours ? changed_bytes(seen, prompt) : prompt.size() - common_prefix(seen, prompt);
    const double n_tokens =
        static_cast<double>(n_bytes) / bytes_per_token_ + (is_ours ? tokens_beside_the_edit : 1);
    seen = std::move(prompt);
    return n_tokens * speed_.encode_ms + n_predict * speed_.decode_ms;
}

double WorkEstimate::recompute_ms(const WorkloadStep& step, int32_t n_predict) const {
    return static_cast<double>(shown_text(step.state).size()) / bytes_per_token_ * speed_.encode_ms +
           n_predict * speed_.decode_ms;
}

Result<void> estimate_times(std::vector<ServingGroup>& groups, const ServingPlan& plan,
                            const LoadedModel& model, int32_t n_threads) {
    PIE_ASSIGN(const MarkerNames names, marker_names(model.vocabulary()));
    std::map<int32_t, MachineSpeed> speeds; // by length of context
    for (ServingGroup& group : groups) {
        if (!speeds.contains(group.context)) {
            PIE_ASSIGN(speeds[group.context], measure_speed(model, n_threads, group.context));
        }
        const std::string text = untouched(*group.tasks.front().document).text;
        const double n_tokens = static_cast<double>(group.context) * static_cast<double>(group.n_slots);
        WorkEstimate estimate(speeds[group.context], names, static_cast<double>(text.size()) / n_tokens);
        for (ServingTask& task : group.tasks) {
            task.estimated_ms =
                task_ms(task, task.steps(token_counter(model)), group, plan.check_every, estimate);
        }
        group.tasks.front().estimated_ms += start_ms * static_cast<double>(group.systems.size());
    }
    return {};
}

double estimated_ms(std::span<const ServingGroup> groups) {
    double sum_ms = 0;
    for (const ServingGroup& group : groups) {
        for (const ServingTask& task : group.tasks) {
            sum_ms += task.estimated_ms;
        }
    }
    return sum_ms;
}

std::vector<std::string> estimate_lines(std::span<const ServingGroup> groups) {
    struct Sum {
        size_t n_tasks = 0;
        size_t n_requests = 0;
        double milliseconds = 0;
    };
    std::map<int32_t, Sum> sums;
    for (const ServingGroup& group : groups) {
        Sum& sum = sums[group.context];
        for (const ServingTask& task : group.tasks) {
            ++sum.n_tasks;
            sum.n_requests += task.n_steps * group.systems.size();
            sum.milliseconds += task.estimated_ms;
        }
    }
    std::vector<std::string> lines;
    for (const auto& [context, sum] : sums) {
        lines.push_back(fmt::format("{} tokens: {} workloads, {} timed requests, about {}", context,
                                    sum.n_tasks, sum.n_requests, duration_text(sum.milliseconds)));
    }
    lines.push_back(fmt::format("in all about {}", duration_text(estimated_ms(groups))));
    return lines;
}

} // namespace pie
