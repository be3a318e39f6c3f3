// pie edit BEFORE AFTER --at LINE:COL: what one edit costs, and whether the answer is still the right one.

#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/comparison.h"
#include "cli/edit_view.h"
#include "cli/run_flags.h"
#include "cli/source_place.h"
#include "cli/terminal.h"
#include "cli/work_report.h"
#include "text/line_diff.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <utility>

namespace pie {
namespace {

struct EditArguments {
    std::string before;
    std::string after;
    std::string place;
    RunFlags run;
    ReuseOptions reuse;
    CompletionOptions completion;
    bool json = false;
};

void print_json(const EditArguments& arguments, const RunningModel& loaded, const LiveDocument& session,
                const Comparison& comparison) {
    nlohmann::json result = {{"model", loaded.name},
                             {"layout", layout_name(session.layout())},
                             {"method", method_name(arguments.reuse.method)},
                             {"seam", arguments.reuse.seam},
                             {"prefix_lines_cut", session.lines_cut().at_start},
                             {"suffix_lines_cut", session.lines_cut().at_end}};
    result.update(as_json(comparison));
    fmt::print("{}\n", result.dump(2));
}

void print_text(const EditArguments& arguments, const Document& before, const Document& after,
                ByteOffset cursor, const Comparison& comparison) {
    constexpr int shown_lines = 6;
    const UpdateReport& update = comparison.edit.update;
    const std::string_view line = after.text().substr(0, cursor.value);
    const std::string_view typed = line.substr(line.rfind('\n') + 1);
    fmt::print("{}\n", edit_view(before.text(), after.text()));
    fmt::print("{} tokens of context: {} kept ({} of them moved), {} encoded\n\n", update.tokens_context,
               update.tokens_kept, update.tokens_moved, update.tokens_encoded);
    fmt::print(
        "{:<16} first token after {}\n{}\n", method_name(arguments.reuse.method),
        coloured(Stream::out, Colour::green, milliseconds_text(comparison.edit.first_token_milliseconds())),
        completion_view(typed, comparison.edit.completion.text, shown_lines));
    fmt::print("{:<16} first token after {}, {} times as long\n{}\n", "full recompute",
               milliseconds_text(comparison.full.first_token_milliseconds()),
               times_text(comparison.speedup()),
               completion_view(typed, comparison.full.completion.text, shown_lines));
    fmt::print("KL of the first token {:.4f}; {:.0f} % of the completion's tokens are equal\n",
               comparison.first_token_kl, comparison.agreement * 100);
}

Result<void> run_edit(const EditArguments& arguments) {
    PIE_ASSIGN(const LineColumn place, parse_line_column(arguments.place));
    PIE_ASSIGN(const Document before, Document::open(arguments.before));
    PIE_ASSIGN(const Document after, Document::open(arguments.after));
    PIE_ASSIGN(const ByteOffset cursor, after.offset(place));
    const ByteOffset cursor_before = map_back(before.text(), after.text(), cursor);
    PIE_ASSIGN(const RunningModel loaded, load_model(arguments.run));
    loaded.engine->set_cancel_flag(&interrupt_flag());
    const int32_t n_predict = arguments.completion.n_predict;
    PIE_ASSIGN(const auto live, create_session(loaded, arguments.run, n_predict));
    PIE_ASSIGN(const auto reference, create_session(loaded, arguments.run, n_predict));
    WorkProgress progress;
    PIE_TRY(live->update(before.text(), cursor_before, {}, progress.tokens("encoding the text before")));
    PIE_ASSIGN(Answer answer,
               answer_edit(*live, after.text(), cursor, arguments.reuse, arguments.completion));
    PIE_ASSIGN(const Comparison comparison,
               compare_with_full(std::move(answer), *live, *reference, after.text(), cursor,
                                 arguments.completion, progress.tokens("full recompute")));
    print_lines_cut(live->lines_cut());
    if (arguments.json) {
        print_json(arguments, loaded, *live, comparison);
    } else {
        print_text(arguments, before, after, cursor, comparison);
    }
    return {};
}

} // namespace

void add_edit_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<EditArguments>();
    CLI::App* command = app.add_subcommand(
        "edit",
        "Turn one text into another in the cache, complete at a place, and compare with full recompute");
    command->footer("Examples:\n  pie edit before.py after.py --at 12:5\n"
                    "  pie edit before.py after.py --at 12:5 --method pie --json");
    command->add_option("before", arguments->before, "File before the edit, encoded first")->required();
    command->add_option("after", arguments->after, "File after the edit")->required();
    command->add_option("--at", arguments->place, "LINE:COL in the file after the edit, both from 1")
        ->required();
    add_run_flags(*command, arguments->run);
    add_reuse_flags(*command, arguments->reuse);
    add_completion_flags(*command, arguments->completion);
    command->add_flag("--json", arguments->json, "Print one JSON object");
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = run_edit(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
