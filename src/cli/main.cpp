// The program: parses the flags, runs the chosen command, and turns whatever happens into an exit status.

#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/terminal.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

namespace {

// Flags with one dash and several letters, as other programs for local models spell them. CLI11 would take
// "-hf" for "-h -f", so these become long flags before it sees them.
constexpr std::array<std::pair<std::string_view, const char*>, 2> single_dash_flags = {{
    {"-hf", "--hf"},
    {"-ngl", "--ngl"},
}};

std::vector<const char*> with_long_flags(int argc, char** argv) {
    std::vector<const char*> arguments(argv, argv + argc);
    for (const char*& argument : arguments) {
        if (std::string_view(argument) == "--") {
            break;
        }
        for (const auto& [single_dash, long_flag] : single_dash_flags) {
            if (argument == single_dash) {
                argument = long_flag;
            }
        }
    }
    return arguments;
}

void add_commands(CLI::App& app, pie::CommandRun& run) {
    pie::add_complete_command(app, run);
    pie::add_edit_command(app, run);
    pie::add_demo_command(app, run);
    pie::add_bench_command(app, run);
    pie::add_eval_command(app, run);
    pie::add_model_command(app, run);
    pie::add_serve_command(app, run);
}

int parse_and_run(int argc, char** argv) {
    CLI::App app("pie completes code while it is being edited: an edit costs the tokens that were typed.",
                 "pie");
    app.set_version_flag("--version", "pie " PIE_VERSION);
    app.require_subcommand(1);
    app.footer("Examples:\n  pie model list\n  pie model pull qwen2.5-coder-0.5b");
    pie::CommandRun run;
    add_commands(app, run);

    const std::vector<const char*> arguments = with_long_flags(argc, argv);
    try {
        app.parse(argc, arguments.data());
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {
            return app.exit(error); // --help and --version
        }
        const std::string message = std::string(error.what()) + " (see 'pie --help')";
        return pie::print_error({pie::ErrorCode::invalid_argument, message});
    }
    return run();
}

// A result that was not written, as to a full disk, is a failure. A reader that closed the pipe, as `head`
// does, has what it wanted and hears no complaint.
int with_output_checked(int status) {
    errno = 0;
    if (pie::flush_output() || status != 0) {
        return status;
    }
    if (errno == EPIPE) {
        return pie::exit_status(pie::ErrorCode::io);
    }
    return pie::print_error(
        {pie::ErrorCode::io, std::string("cannot write the result: ") + std::strerror(errno)});
}

// fmt throws what a full buffer could not be written for.
int status_of(const std::exception& exception) {
    const int output_status = with_output_checked(0);
    return output_status != 0 ? output_status
                              : pie::print_error({pie::ErrorCode::internal, exception.what()});
}

} // namespace

int main(int argc, char** argv) {
    pie::hold_standard_streams();
    // A closed pipe or a file that grows too large is an error to report, not a reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    pie::install_interrupt_handlers();
    try {
        return with_output_checked(parse_and_run(argc, argv));
    } catch (const std::exception& exception) {
        return status_of(exception);
    }
}
