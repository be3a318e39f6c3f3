#include "bench/serving_run.h"

#include "bench/ageing.h"
#include "bench/answer_agreement.h"
#include "bench/serving_estimate.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace pie {
namespace {

std::string now_utc() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

uint64_t whole_seconds(double milliseconds) {
    return static_cast<uint64_t>(milliseconds / 1000);
}

void record(ServingMeasurement& measurement, const TimedAnswer& timed) {
    const ServedAnswer& answer = timed.answer;
    measurement.first_ms.push_back(answer.first_ms);
    measurement.total_ms.push_back(answer.total_ms);
    measurement.prompt_ms.push_back(answer.prompt_ms);
    measurement.tokens_encoded.push_back(answer.tokens_encoded);
    measurement.tokens_context.push_back(answer.tokens_context);
    measurement.tokens_written.push_back(answer.tokens_written);
    if (timed.joules) {
        measurement.joules.push_back(*timed.joules);
    }
}

void record_limit(ServingMeasurement& measurement, const ServedAnswer& ours, double milliseconds) {
    measurement.first_ms.push_back(milliseconds);
    measurement.tokens_encoded.push_back(ours.tokens_encoded);
    measurement.tokens_context.push_back(ours.tokens_context);
}

} // namespace

ServingRun::ServingRun(const LoadedModel& model, const SourceTree& sources, ServerSetting setting,
                       RunConditions conditions, ServingPlan plan)
    : model_(model), sources_(sources), setting_(std::move(setting)), conditions_(std::move(conditions)),
      plan_(std::move(plan)) {
    conditions_.n_predict = SideBySide::n_predict;
    conditions_.n_threads = setting_.n_threads;
}

Result<void> ServingRun::run(ServingResults& results, Progress& progress) {
    PIE_ASSIGN(std::vector<ServingGroup> groups, schedule(plan_, conditions_, model_, sources_, results));
    if (groups.empty()) {
        return {};
    }
    PIE_TRY(estimate_times(groups, plan_, model_, conditions_.n_threads));
    for (const std::string& line : estimate_lines(groups)) {
        progress.note(line);
    }
    progress.start("side by side, s", ProgressUnit::items, whole_seconds(estimated_ms(groups)));
    for (const ServingGroup& group : groups) {
        PIE_TRY(measure_group(group, results, progress));
    }
    progress.finish();
    return {};
}

void ServingRun::advance(double milliseconds, Progress& progress) {
    done_ms_ += milliseconds;
    progress.update(whole_seconds(done_ms_));
}

Result<void> ServingRun::measure_group(const ServingGroup& group, ServingResults& results,
                                       Progress& progress) {
    progress.note(fmt::format("starting {} servers for {} tokens", group.systems.size(), group.context));
    ServerSetting setting = setting_;
    setting.n_ctx = group.n_ctx();
    setting.n_slots = group.n_slots;
    PIE_ASSIGN(const auto side, SideBySide::start(group.systems, setting, model_));
    for (const ServingTask& task : group.tasks) {
        progress.note(fmt::format("{} tokens: {}", group.context, task.workload->what));
        PIE_ASSIGN(auto measurements, measure(*side, task, progress));
        // Ours comes last: where it is, the whole workload is.
        std::ranges::reverse(measurements);
        for (ServingMeasurement& measurement : measurements) {
            PIE_TRY(results.add(std::move(measurement)));
        }
    }
    return {};
}

Result<std::vector<ServingMeasurement>> ServingRun::measure(SideBySide& side, const ServingTask& task,
                                                            Progress& progress) {
    const std::vector<WorkloadStep> steps = task.steps(token_counter(model_));
    const double done_ms = done_ms_;
    std::vector<ServingMeasurement> measurements;
    for (size_t i = 0; i < side.size(); ++i) {
        measurements.push_back(task.blank(conditions_, side.system(i).name));
        PIE_TRY(begin(side, i, task, steps, progress));
        side.process(i).forget_peak();
    }
    measurements.push_back(task.blank(conditions_, limit_system));
    const size_t first = steps_before(*task.workload);
    for (size_t number = first; number < steps.size(); ++number) {
        const bool is_last = number + 1 == steps.size();
        const bool is_due =
            plan_.check_every > 0 && (is_last || (number - first + 1) % plan_.check_every == 0);
        PIE_TRY(
            measure_step(side, steps[number], number, is_due ? Check::make : Check::leave_out, measurements));
        const auto n_left = static_cast<double>(steps.size() - number);
        advance((done_ms + task.estimated_ms - done_ms_) / n_left, progress);
    }
    for (ServingMeasurement& measurement : measurements) {
        measurement.date = now_utc();
        if (measurement.n_checked > 0) {
            measurement.equal_first_lines /= measurement.n_checked;
            measurement.equal_tokens /= measurement.n_checked;
        }
    }
    return measurements;
}

Result<void> ServingRun::begin(SideBySide& side, size_t i, const ServingTask& task,
                               const std::vector<WorkloadStep>& steps, Progress& progress) {
    const Workload& workload = *task.workload;
    const auto n_requests =
        static_cast<double>(workload.n_edits + side.size() * steps.size()); // those of the steps included
    Ageing ageing(*task.document);
    for (size_t edit = 0; edit < workload.n_edits; ++edit) {
        PIE_TRY(side.show(i, {.state = ageing.state()}));
        ageing.edit();
        advance(task.estimated_ms / n_requests, progress);
    }
    for (size_t session = 0; session < steps_before(workload); ++session) {
        PIE_TRY(side.show(i, steps[session]));
        advance(task.estimated_ms / n_requests, progress);
    }
    side.rest(i);
    return {};
}

Result<void> ServingRun::measure_step(SideBySide& side, const WorkloadStep& step, size_t number,
                                      Check check_answers, std::vector<ServingMeasurement>& measurements) {
    std::vector<TimedAnswer> answers(side.size());
    for (size_t turn = 0; turn < side.size(); ++turn) {
        const size_t i = (number + turn) % side.size();
        PIE_ASSIGN(answers[i], side.ask(i, step));
        record(measurements[i], answers[i]);
        measurements[i].peak_memory_bytes =
            std::max(measurements[i].peak_memory_bytes, side.process(i).peak_memory_bytes());
    }
    for (size_t i = 0; i < side.size(); ++i) {
        if (side.system(i).name == our_system) {
            PIE_ASSIGN(const double milliseconds, side.limit(answers[i].answer));
            record_limit(measurements.back(), answers[i].answer, milliseconds);
        }
        if (check_answers == Check::make && !answers[i].exact) {
            PIE_TRY(check(side, i, step, answers[i].answer.text, measurements[i]));
        }
    }
    return {};
}

Result<void> ServingRun::check(SideBySide& side, size_t i, const WorkloadStep& step,
                               const std::string& answer, ServingMeasurement& measurement) const {
    PIE_ASSIGN(const ServedAnswer reference, side.recompute(i, step));
    const AnswerAgreement agreement = agreement_of(answer, reference.text, model_.vocabulary());
    ++measurement.n_checked;
    measurement.equal_first_lines += agreement.first_line ? 1 : 0;
    measurement.equal_tokens += agreement.tokens;
    side.process(i).forget_peak();
    return {};
}

} // namespace pie
