// pie complete FILE:LINE:COL: what the model writes at a place in a file.

#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/run_flags.h"
#include "cli/source_place.h"
#include "cli/terminal.h"
#include "cli/work_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

namespace pie {
namespace {

struct CompleteArguments {
    std::string place;
    RunFlags run;
    CompletionOptions completion;
    bool stream = false;
    bool json = false;
};

void print_result(const CompleteArguments& arguments, const RunningModel& loaded, const LiveDocument& session,
                  const UpdateReport& prefill, const Completion& completion) {
    if (arguments.json) {
        const nlohmann::json result = {{"model", loaded.name},
                                       {"layout", layout_name(session.layout())},
                                       {"context_tokens", prefill.tokens_context},
                                       {"prefix_lines_cut", session.lines_cut().at_start},
                                       {"suffix_lines_cut", session.lines_cut().at_end},
                                       {"prefill_ms", prefill.milliseconds},
                                       {"completion", completion.text},
                                       {"completion_tokens", completion.tokens.size()},
                                       {"completion_ms", completion.milliseconds},
                                       {"finish", finish_name(completion.finish)}};
        fmt::print("{}\n", result.dump(2));
        return;
    }
    fmt::print("{}\n", arguments.stream ? "" : printable_code(completion.text));
    print_note(coloured(Stream::err, Colour::dim,
                        fmt::format("{} tokens of context encoded in {}, {} tokens written in {}",
                                    prefill.tokens_encoded, milliseconds_text(prefill.milliseconds),
                                    completion.tokens.size(), milliseconds_text(completion.milliseconds))));
}

void print_unseen_suffix(const LiveDocument& session, std::string_view suffix) {
    if (session.layout() == LayoutKind::plain &&
        suffix.find_first_not_of(" \t\r\n") != std::string_view::npos) {
        print_note(
            coloured(Stream::err, Colour::yellow,
                     "this model was not trained to fill in the middle, so it does not see what stands "
                     "behind the cursor"));
    }
}

Result<void> run_complete(const CompleteArguments& arguments) {
    PIE_ASSIGN(const SourcePlace place, parse_source_place(arguments.place));
    PIE_ASSIGN(const Document document, Document::open(place.file));
    PIE_ASSIGN(const ByteOffset cursor, document.offset(place.place));
    PIE_ASSIGN(const RunningModel loaded, load_model(arguments.run));
    loaded.engine->set_cancel_flag(&interrupt_flag());
    PIE_ASSIGN(const auto session, create_session(loaded, arguments.run, arguments.completion.n_predict));
    WorkProgress progress;
    PIE_ASSIGN(
        const UpdateReport prefill,
        session->update(document.text(), cursor, {}, progress.tokens("encoding " + place.file.string())));
    print_lines_cut(session->lines_cut());
    print_unseen_suffix(*session, document.text().substr(cursor.value));
    TextReceiver receive;
    if (arguments.stream && !arguments.json) {
        receive = [](std::string_view text) {
            fmt::print("{}", printable_code(text));
            return flush_output() ? StreamControl::go_on : StreamControl::stop;
        };
    }
    PIE_ASSIGN(const Completion completion, session->complete(arguments.completion, receive));
    if (flush_output()) {
        print_result(arguments, loaded, *session, prefill, completion);
    }
    return {};
}

} // namespace

void add_complete_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<CompleteArguments>();
    CLI::App* command = app.add_subcommand("complete", "Complete a file at a place in it");
    command->footer(
        "Examples:\n  pie complete src/main.cpp:42:9\n  pie complete src/main.cpp:42:9 -n 32 --stream");
    command->add_option("place", arguments->place, "FILE:LINE:COL, both from 1; columns are characters")
        ->required();
    add_run_flags(*command, arguments->run);
    add_completion_flags(*command, arguments->completion);
    command->add_flag("--stream", arguments->stream, "Print the text as it comes");
    command->add_flag("--json", arguments->json, "Print one JSON object");
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = run_complete(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
