#include "cli/command_line.h"

#include "base/interrupt.h"
#include "base/myers.h"
#include "cli/terminal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace pie {
namespace {

// Flags with one dash and several letters, as other programs for local models spell them. CLI11 would take
// "-hf" for "-h -f", so these become long flags before it sees them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> single_dash_flags = {{
    {"-hf", "--hf"},
    {"-ngl", "--gpu-layers"},
}};

// With the flags that CLI11 knows, and "help COMMAND" as "COMMAND --help".
std::vector<std::string> as_parsed(std::span<const char* const> arguments) {
    std::vector<std::string> words(arguments.begin(), arguments.end());
    for (std::string& word : words) {
        if (word == "--") {
            break;
        }
        word = long_flag(word);
    }
    if (!words.empty() && words.front() == "help") {
        words.erase(words.begin());
        words.emplace_back("--help");
    }
    return words;
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
    }
    return names;
}

std::vector<std::string> flag_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            names.push_back("--" + name);
        }
    }
    return names;
}

// Letters to take out or put in.
size_t distance(std::string_view a, std::string_view b) {
    size_t equal = 0;
    for (const Match& match :
         myers_matches(std::vector<int32_t>(a.begin(), a.end()), std::vector<int32_t>(b.begin(), b.end()))) {
        equal += match.length;
    }
    return a.size() + b.size() - 2 * equal;
}

// "; did you mean 'NAME'?" where one of them is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& names) {
    constexpr size_t distance_max = 3;
    size_t nearest = std::min(distance_max + 1, word.size());
    std::string text;
    for (const std::string& name : names) {
        if (const size_t d = distance(word, name); d < nearest) {
            nearest = d;
            text = fmt::format("; did you mean '{}'?", name);
        }
    }
    return text;
}

struct NamedCommand {
    const CLI::App* app;
    std::string path; // "pie model list"
};

// That a command is named where one must be; CLI11 would only say that one is missing. Returns the innermost
// command that is.
Result<NamedCommand> named_command(const CLI::App& program, const std::vector<std::string>& words) {
    const CLI::App* app = &program;
    std::string path = program.get_name();
    for (size_t i = 0; app->get_require_subcommand_min() > 0; ++i) {
        const std::vector<std::string> names = command_names(*app);
        if (i == words.size()) {
            return fail(ErrorCode::invalid_argument, fmt::format("a command is missing: {} (see '{} --help')",
                                                                 fmt::join(names, ", "), path));
        }
        if (words[i].starts_with('-')) {
            break;
        }
        if (std::ranges::find(names, words[i]) == names.end()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("there is no command '{} {}'{} (see '{} --help')", path, words[i],
                                    suggestion(words[i], names), path));
        }
        app = app->get_subcommand(words[i]);
        path += " " + app->get_name();
    }
    return NamedCommand{app, path};
}

Error usage_error(const CLI::ParseError& error, const NamedCommand& command,
                  const std::vector<std::string>& words) {
    std::string message = error.what();
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        const std::vector<std::string> flags = flag_names(*command.app);
        const auto unknown = std::ranges::find_if(words, [&](const std::string& word) {
            return word.starts_with("--") && word.size() > 2 &&
                   std::ranges::find(flags, word.substr(0, word.find('='))) == flags.end();
        });
        if (unknown != words.end()) {
            message += suggestion(*unknown, flags);
        }
    }
    return {ErrorCode::invalid_argument, fmt::format("{} (see '{} --help')", message, command.path)};
}

int parse_and_run(MakeProgram make_program, int argc, char** argv) {
    const std::vector<const char*> arguments(argv + std::min(argc, 1), argv + argc);
    const auto run = parse_arguments(make_program, arguments);
    return run ? (*run)() : print_error(run.error());
}

// A result that was not written, as to a full disk, is a failure. A reader that closed the pipe, as `head`
// does, has what it wanted and hears no complaint.
int status_of_unwritten(int error_number) {
    if (error_number == EPIPE) {
        return exit_status(ErrorCode::io);
    }
    return print_error(
        {ErrorCode::io, std::string("cannot write the result: ") + std::strerror(error_number)});
}

int with_output_checked(int status) {
    return flush_output() || status != 0 ? status : status_of_unwritten(output_error());
}

int status_of(const std::exception& exception) {
    // fmt throws what it could not write.
    const auto* unwritten = dynamic_cast<const std::system_error*>(&exception);
    return unwritten != nullptr && std::ferror(stdout) != 0
               ? status_of_unwritten(unwritten->code().value())
               : print_error({ErrorCode::internal, exception.what()});
}

} // namespace

std::string long_flag(const std::string& word) {
    const auto found =
        std::ranges::find(single_dash_flags, word, [](const auto& pair) { return pair.first; });
    return std::string(found == single_dash_flags.end() ? std::string_view(word) : found->second);
}

Result<CommandRun> parse_arguments(MakeProgram make_program, std::span<const char* const> arguments) {
    std::vector<std::string> words = as_parsed(arguments);
    CommandRun run;
    const std::shared_ptr<CLI::App> app = make_program(run);
    set_program_name(app->get_name());
    PIE_ASSIGN(const NamedCommand command, named_command(*app, words));
    try {
        app->parse(std::vector<std::string>(words.rbegin(), words.rend())); // it takes them from the end
    } catch (const CLI::Success& asked) {                                   // --help and --version
        return CommandRun([app, asked] { return app->exit(asked); });
    } catch (const CLI::ParseError& error) {
        return tl::unexpected<Error>(usage_error(error, command, words));
    }
    return run;
}

int run_program(MakeProgram make_program, int argc, char** argv) {
    hold_standard_streams();
    // A closed pipe or a file that grows too large is an error to report, not a reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    install_interrupt_handlers();
    try {
        return with_output_checked(parse_and_run(make_program, argc, argv));
    } catch (const std::exception& exception) {
        return status_of(exception);
    }
}

} // namespace pie
