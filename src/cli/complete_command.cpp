// pie complete FILE:LINE:COL: what the model writes at a place in a file.

#include "base/interrupt.h"
#include "cli/block_end.h"
#include "cli/command.h"
#include "cli/run_flags.h"
#include "cli/source_place.h"
#include "cli/terminal.h"
#include "cli/work_report.h"
#include "text/fences.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utf8.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace pie {
namespace {

struct CompleteArguments {
    std::string place;
    RunFlags run;
    CompletionOptions completion;
    bool ends_with_block = true;
    bool stream = false;
    bool json = false;
};

// Takes what is written, and gives out what is offered of it.
class Offer {
  public:
    Offer(std::string_view before, std::string_view behind, bool ends_with_block)
        : before_(before), behind_(behind), ends_with_block_(ends_with_block) {}

    // What is offered since the last call.
    std::string_view push(std::string_view text, Writing writing) {
        written_ += text;
        const Offered offered = ends_with_block_ ? offered_part(before_, behind_, written_, writing)
                                                 : Offered{.length = written_.size()};
        is_over_ = offered.is_over;
        const size_t begin = std::exchange(length_, offered.length);
        return std::string_view(written_).substr(begin, length_ - begin);
    }

    bool is_over() const { return is_over_; }
    std::string_view text() const { return std::string_view(written_).substr(0, length_); }

  private:
    std::string_view before_;
    std::string_view behind_;
    bool ends_with_block_;
    std::string written_;
    size_t length_ = 0;
    bool is_over_ = false;
};

void print_result(const CompleteArguments& arguments, const RunningModel& loaded, const LiveDocument& session,
                  const UpdateReport& prefill, const Completion& completion, const Offer& offer) {
    if (arguments.json) {
        const nlohmann::json result = {
            {"model", loaded.name},
            {"layout", layout_name(session.layout())},
            {"context_tokens", prefill.tokens_context},
            {"prefix_lines_cut", session.lines_cut().at_start},
            {"suffix_lines_cut", session.lines_cut().at_end},
            {"prefill_ms", prefill.milliseconds},
            {"completion", offer.text()},
            {"completion_tokens", completion.tokens.size()},
            {"completion_ms", completion.milliseconds},
            {"finish", offer.is_over() ? "block" : finish_name(completion.finish)}};
        fmt::print("{}\n", result.dump(2));
        return;
    }
    fmt::print("{}\n", arguments.stream ? "" : printable_code(offer.text()));
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
    const std::string file_name = place.file.filename().string();
    session->set_context({.file_name = utf8::is_valid(file_name) ? file_name : "", .shows_file_name = true});
    CompletionOptions completion_options = arguments.completion;
    completion_options.stop.fence = is_markdown(file_name) ? FenceStop::never : FenceStop::anywhere;
    WorkProgress progress;
    PIE_ASSIGN(
        const UpdateReport prefill,
        session->update(document.text(), cursor, {}, progress.tokens("encoding " + place.file.string())));
    print_lines_cut(session->lines_cut());
    const std::string_view text = document.text();
    print_unseen_suffix(*session, text.substr(cursor.value));
    Offer offer(text.substr(0, cursor.value), text.substr(cursor.value), arguments.ends_with_block);
    const auto take = [&](std::string_view written, Writing writing) {
        const std::string_view offered = offer.push(written, writing);
        if (arguments.stream && !arguments.json) {
            fmt::print("{}", printable_code(offered));
        }
        return flush_output() && !offer.is_over() ? StreamControl::go_on : StreamControl::stop;
    };
    const auto receive = [&](std::string_view written) { return take(written, Writing::goes_on); };
    PIE_ASSIGN(const Completion completion, session->complete(completion_options, receive));
    if (!offer.is_over()) {
        take("", Writing::ended);
    }
    if (flush_output()) {
        print_result(arguments, loaded, *session, prefill, completion, offer);
    }
    return {};
}

} // namespace

void add_complete_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<CompleteArguments>();
    CLI::App* command = app.add_subcommand(
        "complete", "Complete a file at a place in it, up to the end of the block; with --indent, to there");
    command->footer(
        "Examples:\n  pie complete src/main.cpp:42:9\n  pie complete src/main.cpp:42:9 -n 32 --stream");
    command->add_option("place", arguments->place, "FILE:LINE:COL, both from 1; columns are characters")
        ->required();
    add_run_flags(*command, arguments->run);
    add_completion_flags(*command, arguments->completion);
    command->add_flag("--stream", arguments->stream, "Print the text as it comes");
    command->add_flag("--json", arguments->json, "Print one JSON object");
    command->callback([arguments, command, &run] {
        arguments->ends_with_block = command->get_option("--indent")->count() == 0;
        run = [arguments] {
            const auto result = run_complete(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
