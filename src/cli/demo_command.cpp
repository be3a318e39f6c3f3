// pie demo: a scripted editing session on a source file of this repository. After every edit the completion
// of the live cache stands beside that of a full recompute.

#include "base/elapsed.h"
#include "base/interrupt.h"
#include "base/quantile.h"
#include "cli/command.h"
#include "cli/comparison.h"
#include "cli/demo_script.h"
#include "cli/edit_view.h"
#include "cli/run_flags.h"
#include "cli/terminal.h"
#include "cli/work_report.h"
#include "engine/logits.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

struct DemoArguments {
    RunFlags run;
    ReuseOptions reuse{.repair = 64, .milliseconds = 100}; // as the library does
    CompletionOptions completion{.n_predict = 24, .sampling = {}};
    bool json = false;
};

struct StepResult {
    std::string title;
    Comparison comparison;
    std::vector<double> keystroke_milliseconds; // of a typed step
};

std::string_view line_before(std::string_view text, ByteOffset cursor) {
    const std::string_view before = text.substr(0, cursor.value);
    return before.substr(before.rfind('\n') + 1);
}

// All but the last key of a typed step; the last one is the update that is compared.
Result<std::vector<double>> type_keys(LiveDocument& live, const DemoStep& step, const ReuseOptions& reuse) {
    std::vector<double> milliseconds;
    for (size_t typed = 0; typed < step.typed.size(); ++typed) {
        const size_t missing = step.typed.size() - typed;
        std::string text = step.text;
        text.erase(step.cursor.value - missing, missing);
        PIE_ASSIGN(const UpdateReport update, live.update(text, step.cursor - missing, reuse));
        milliseconds.push_back(update.milliseconds);
    }
    return milliseconds;
}

void print_answer(const DemoStep& step, const std::string& name, const Answer& answer, Colour colour) {
    constexpr int shown_lines = 3;
    fmt::print("  {:<15} {:>5} of {} tokens encoded, first token after {}\n{}", name,
               answer.update.tokens_encoded, answer.update.tokens_context,
               coloured(Stream::out, colour, milliseconds_text(answer.first_token_milliseconds())),
               completion_view(line_before(step.text, step.cursor), answer.completion.text, shown_lines));
}

void print_keystrokes(const std::vector<double>& milliseconds) {
    if (!milliseconds.empty()) {
        fmt::print("  {} keystrokes, each encoded as it is typed: median {}, slowest {}\n",
                   milliseconds.size(), milliseconds_text(median(milliseconds)),
                   milliseconds_text(*std::ranges::max_element(milliseconds)));
    }
}

void print_table(const std::vector<StepResult>& results) {
    fmt::print("{}\n", coloured(Stream::out, Colour::bold,
                                fmt::format("{:<40} {:>7} {:>7} {:>9} {:>9} {:>6} {:>8} {:>6}", "edit",
                                            "context", "encoded", "edit", "full", "times", "KL", "equal")));
    for (const StepResult& result : results) {
        const Comparison& c = result.comparison;
        fmt::print("{:<40.40} {:>7} {:>7} {:>9} {:>9} {:>5}x {:>8.4f} {:>4.0f} %\n", result.title,
                   c.edit.update.tokens_context, c.edit.update.tokens_encoded,
                   milliseconds_text(c.edit.first_token_milliseconds()),
                   milliseconds_text(c.full.first_token_milliseconds()), times_text(c.speedup()),
                   c.first_token_kl, c.agreement * 100);
    }
    fmt::print(
        "\nedit, full: time to the first token. KL: of its distribution to full recompute's, in nats. equal: "
        "tokens of the\ncompletion that are the same.\n");
}

nlohmann::json step_as_json(const StepResult& result) {
    nlohmann::json step = as_json(result.comparison);
    step["title"] = result.title;
    if (!result.keystroke_milliseconds.empty()) {
        step["keystroke_ms"] = result.keystroke_milliseconds;
    }
    return step;
}

Result<std::vector<StepResult>> run_steps(const DemoArguments& arguments, const DemoScript& script,
                                          LiveDocument& live, LiveDocument& reference,
                                          WorkProgress& progress) {
    std::vector<StepResult> results;
    std::string_view before = script.start;
    for (const DemoStep& step : script.steps) {
        StepResult result{.title = step.title, .comparison = {}, .keystroke_milliseconds = {}};
        if (!arguments.json) {
            fmt::print(
                "{}\n{}",
                coloured(Stream::out, Colour::bold, fmt::format("{}. {}", results.size() + 1, step.title)),
                edit_view(before, step.text));
        }
        if (!flush_output()) {
            return results;
        }
        PIE_ASSIGN(result.keystroke_milliseconds, type_keys(live, step, arguments.reuse));
        PIE_ASSIGN(Answer answer,
                   answer_edit(live, step.text, step.cursor, arguments.reuse, arguments.completion));
        if (!arguments.json) {
            print_keystrokes(result.keystroke_milliseconds);
            print_answer(step, method_name(arguments.reuse.method), answer, Colour::green);
            (void)flush_output(); // before the long work; the next step asks what became of it
        }
        PIE_ASSIGN(result.comparison,
                   compare_with_full(std::move(answer), live, reference, step.text, step.cursor,
                                     arguments.completion, progress.tokens("full recompute, to compare")));
        if (!arguments.json) {
            print_answer(step, "full recompute", result.comparison.full, Colour::yellow);
            fmt::print("\n");
        }
        results.push_back(std::move(result));
        before = step.text;
    }
    return results;
}

// What idle time makes of the cache after the last step, whose full recompute `reference` holds.
struct Healing {
    int32_t tokens_encoded = 0;
    double milliseconds = 0;
    double first_token_kl = 0;
};

Result<Healing> heal(LiveDocument& live, const LiveDocument& reference) {
    const auto start = std::chrono::steady_clock::now();
    Healing healing;
    for (int32_t n = 1; n > 0;) {
        PIE_ASSIGN(n, live.heal());
        healing.tokens_encoded += n;
    }
    healing.milliseconds = milliseconds_since(start);
    healing.first_token_kl = kl_divergence(reference.sequence().logits(), live.sequence().logits());
    return healing;
}

Result<void> run_demo(const DemoArguments& arguments) {
    const DemoScript script = demo_script();
    PIE_ASSIGN(const RunningModel loaded, load_model(arguments.run));
    loaded.engine->set_cancel_flag(&interrupt_flag());
    PIE_ASSIGN(const auto live, create_session(loaded, arguments.run, arguments.completion.n_predict));
    PIE_ASSIGN(const auto reference, create_session(loaded, arguments.run, arguments.completion.n_predict));
    WorkProgress progress(ProgressTrace::passing);
    if (!arguments.json) {
        fmt::print("{} completes {} ({}), on {} threads, while the file is edited.\n\n", loaded.name,
                   script.file, layout_name(live->layout()), loaded.engine->n_threads());
        (void)flush_output(); // before the long work; the first step asks what became of it
    }
    PIE_ASSIGN(const UpdateReport opened,
               live->update(script.start, script.cursor, {}, progress.tokens("opening the file")));
    if (!arguments.json) {
        fmt::print("opened: {} tokens encoded in {}\n\n", opened.tokens_encoded,
                   milliseconds_text(opened.milliseconds));
    }
    PIE_ASSIGN(const std::vector<StepResult> results,
               run_steps(arguments, script, *live, *reference, progress));
    if (!flush_output()) {
        return {};
    }
    PIE_ASSIGN(const Healing healing, heal(*live, *reference));
    if (!arguments.json) {
        print_table(results);
        fmt::print(
            "\nHealed in idle time: {} tokens encoded again in {}, after which the KL of the last edit is "
            "{:.4f}.\n",
            healing.tokens_encoded, milliseconds_text(healing.milliseconds), healing.first_token_kl);
        return {};
    }
    nlohmann::json steps = nlohmann::json::array();
    for (const StepResult& result : results) {
        steps.push_back(step_as_json(result));
    }
    const nlohmann::json object = {{"model", loaded.name},
                                   {"file", script.file},
                                   {"method", method_name(arguments.reuse.method)},
                                   {"threads", loaded.engine->n_threads()},
                                   {"open_ms", opened.milliseconds},
                                   {"steps", steps},
                                   {"healing",
                                    {{"tokens_encoded", healing.tokens_encoded},
                                     {"ms", healing.milliseconds},
                                     {"first_token_kl", healing.first_token_kl}}}};
    fmt::print("{}\n", object.dump(2));
    return {};
}

} // namespace

void add_demo_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<DemoArguments>();
    CLI::App* command =
        app.add_subcommand("demo", "Edit a source file in a scripted session, beside full recompute");
    command->footer("Examples:\n  pie demo\n  pie demo -m smollm2-135m --json");
    add_run_flags(*command, arguments->run);
    add_reuse_flags(*command, arguments->reuse);
    add_completion_flags(*command, arguments->completion);
    command->add_flag("--json", arguments->json, "Print one JSON object");
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = run_demo(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
