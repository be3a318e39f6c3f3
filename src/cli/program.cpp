#include "cli/program.h"

#include "base/myers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {
namespace {

// Flags with one dash and several letters, as other programs for local models spell them. CLI11 would take
// "-hf" for "-h -f", so these become long flags before it sees them.
constexpr std::array<std::pair<std::string_view, const char*>, 2> single_dash_flags = {{
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
        for (const auto& [single_dash, long_flag] : single_dash_flags) {
            if (word == single_dash) {
                word = long_flag;
            }
        }
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

} // namespace

std::unique_ptr<CLI::App> make_program(CommandRun& run) {
    auto app = std::make_unique<CLI::App>(
        "pie completes code while it is being edited: an edit costs the tokens that were typed.", "pie");
    app->set_version_flag("--version", "pie " PIE_VERSION);
    app->require_subcommand(1);
    add_complete_command(*app, run);
    add_edit_command(*app, run);
    add_demo_command(*app, run);
    add_bench_command(*app, run);
    add_eval_command(*app, run);
    add_model_command(*app, run);
    add_serve_command(*app, run);
    // Behind the commands, which would inherit it.
    app->footer(
        "Examples:\n  pie model pull qwen2.5-coder-0.5b\n  pie complete src/main.cpp:42:9\n  pie serve");
    return app;
}

Result<CommandRun> parse_arguments(std::span<const char* const> arguments) {
    std::vector<std::string> words = as_parsed(arguments);
    CommandRun run;
    const std::shared_ptr<CLI::App> app = make_program(run);
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

} // namespace pie
