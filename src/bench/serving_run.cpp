#include "bench/serving_run.h"

#include "base/interrupt.h"
#include "bench/answer_agreement.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace pie {
namespace {

// Beside the document: chunks of other files, what is inserted and replayed, and the completion.
int32_t room_for(int32_t context) {
    return context + context / 4 + 1280;
}

std::string now_utc() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

uint64_t work_of(int32_t context) {
    return static_cast<uint64_t>(std::max(context / 1000, 1));
}

void record(ServingMeasurement& measurement, const ServedAnswer& answer) {
    measurement.first_ms.push_back(answer.first_ms);
    measurement.total_ms.push_back(answer.total_ms);
    measurement.prompt_ms.push_back(answer.prompt_ms);
    measurement.tokens_encoded.push_back(answer.tokens_encoded);
    measurement.tokens_context.push_back(answer.tokens_context);
    measurement.tokens_written.push_back(answer.tokens_written);
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
    // It is about servers that know nothing yet.
    std::stable_partition(plan_.workloads.begin(), plan_.workloads.end(),
                          [](const Workload* workload) { return workload->name == opening; });
}

size_t ServingRun::steps_of(const Workload& workload) const {
    return plan_.n_steps == 0 || workload.name == opening ? workload.n_steps : plan_.n_steps;
}

TokenCounter ServingRun::token_counter() const {
    return [this](std::string_view text) { return model_.vocabulary().tokenize(text).size(); };
}

ServingMeasurement ServingRun::blank(const Context& context, const Workload& workload,
                                     std::string_view system) const {
    ServingMeasurement measurement;
    measurement.conditions = conditions_;
    measurement.workload = workload.name;
    measurement.context = context.n_tokens;
    measurement.system = system;
    measurement.document = context.document.digest;
    measurement.n_steps = static_cast<int32_t>(steps_of(workload));
    return measurement;
}

Result<std::vector<ServingRun::Context>> ServingRun::unmeasured(const ServingResults& results) const {
    std::vector<Context> contexts;
    for (const int32_t n_tokens : plan_.contexts) {
        if (room_for(n_tokens) > model_.hparams().n_ctx_train) {
            return fail(ErrorCode::too_large,
                        fmt::format("a context of {} tokens and room to edit it are more than the {} that "
                                    "the model was trained for; give smaller --contexts",
                                    n_tokens, model_.hparams().n_ctx_train));
        }
        PIE_ASSIGN(SourceDocument document,
                   make_document(sources_, static_cast<size_t>(n_tokens), conditions_.seed, token_counter()));
        Context context{n_tokens, std::move(document), {}};
        std::ranges::copy_if(
            plan_.workloads, std::back_inserter(context.workloads),
            [&](const Workload* workload) { return !results.holds(blank(context, *workload, our_system)); });
        if (!context.workloads.empty()) {
            contexts.push_back(std::move(context));
        }
    }
    return contexts;
}

Result<void> ServingRun::run(ServingResults& results, Progress& progress) {
    PIE_ASSIGN(const std::vector<Context> contexts, unmeasured(results));
    uint64_t work = 0;
    for (const Context& context : contexts) {
        for (const Workload* workload : context.workloads) {
            work += (steps_of(*workload) + 1) * serving_systems().size() * work_of(context.n_tokens);
        }
    }
    progress.start("side by side", ProgressUnit::items, work);
    for (const Context& context : contexts) {
        PIE_TRY(measure_context(context, results, progress));
    }
    progress.finish();
    return {};
}

void ServingRun::advance(const Context& context, Progress& progress) {
    work_done_ += work_of(context.n_tokens);
    progress.update(work_done_);
}

Result<void> ServingRun::measure_context(const Context& context, ServingResults& results,
                                         Progress& progress) {
    progress.note(
        fmt::format("starting {} servers for {} tokens", serving_systems().size(), context.n_tokens));
    ServerSetting setting = setting_;
    setting.n_ctx = room_for(context.n_tokens);
    PIE_ASSIGN(const auto side, SideBySide::start(setting, model_));
    for (const Workload* workload : context.workloads) {
        progress.note(fmt::format("{} tokens: {}", context.n_tokens, workload->what));
        PIE_ASSIGN(auto measurements, measure(*side, context, *workload, progress));
        // Ours comes last: where it is, the whole workload is.
        std::ranges::reverse(measurements);
        for (ServingMeasurement& measurement : measurements) {
            PIE_TRY(results.add(std::move(measurement)));
        }
    }
    return {};
}

Result<std::vector<ServingMeasurement>> ServingRun::measure(SideBySide& side, const Context& context,
                                                            const Workload& workload, Progress& progress) {
    const WorkloadInput input{
        .document = context.document, .n_steps = steps_of(workload), .count = token_counter()};
    const std::vector<WorkloadStep> steps = workload.steps(workload, input);
    std::vector<ServingMeasurement> measurements;
    for (size_t i = 0; i < side.size(); ++i) {
        measurements.push_back(blank(context, workload, side.system(i).name));
        if (workload.name != opening) {
            PIE_TRY(side.settle(i, steps.front().state));
        }
        side.process(i).forget_peak();
        advance(context, progress);
    }
    measurements.push_back(blank(context, workload, limit_system));
    for (size_t number = workload.name == opening ? 0 : 1; number < steps.size(); ++number) {
        const bool is_last = number + 1 == steps.size();
        const bool is_due = plan_.check_every > 0 && (is_last || number % plan_.check_every == 0);
        PIE_TRY(
            measure_step(side, steps[number], number, is_due ? Check::make : Check::leave_out, measurements));
        for (size_t i = 0; i < side.size(); ++i) {
            advance(context, progress);
        }
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

Result<void> ServingRun::measure_step(SideBySide& side, const WorkloadStep& step, size_t number,
                                      Check check_answers, std::vector<ServingMeasurement>& measurements) {
    std::vector<TimedAnswer> answers(side.size());
    for (size_t turn = 0; turn < side.size(); ++turn) {
        const size_t i = (number + turn) % side.size();
        PIE_ASSIGN(answers[i], side.ask(i, step));
        record(measurements[i], answers[i].answer);
        measurements[i].peak_memory_bytes =
            std::max(measurements[i].peak_memory_bytes, side.process(i).peak_memory_bytes());
    }
    for (size_t i = 0; i < side.size(); ++i) {
        if (side.system(i).name == our_system) {
            PIE_ASSIGN(const double milliseconds, side.limit(answers[i].answer));
            record_limit(measurements.back(), answers[i].answer, milliseconds);
        }
        if (check_answers == Check::make && !answers[i].exact) {
            PIE_TRY(check(side, i, step.state, answers[i].answer.text, measurements[i]));
        }
    }
    return {};
}

Result<void> ServingRun::check(SideBySide& side, size_t i, const DocumentState& state,
                               const std::string& answer, ServingMeasurement& measurement) const {
    PIE_ASSIGN(const ServedAnswer reference, side.recompute(i, state));
    const AnswerAgreement agreement = agreement_of(answer, reference.text, model_.vocabulary());
    ++measurement.n_checked;
    measurement.equal_first_lines += agreement.first_line ? 1 : 0;
    measurement.equal_tokens += agreement.tokens;
    side.process(i).forget_peak();
    return {};
}

} // namespace pie
