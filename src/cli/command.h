#pragma once

// What main and the files of the single commands share. A command is a file of its own with one function that
// adds its subcommand to the program's flags:
//
//     void add_NAME_command(CLI::App& app, CommandRun& run);
//
// The subcommand's callback only sets `run`; main calls it once all flags are parsed, so that CLI11's
// exceptions and the exit status stay in one place. Results go to standard output, everything else to
// standard error.

#include <pie/result.h>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace pie {

using CommandRun = std::function<int()>;

void add_complete_command(CLI::App& app, CommandRun& run);
void add_demo_command(CLI::App& app, CommandRun& run);
void add_edit_command(CLI::App& app, CommandRun& run);
void add_model_command(CLI::App& app, CommandRun& run);
void add_serve_command(CLI::App& app, CommandRun& run);

// 128 and the signal's number where one interrupted (Ctrl-C: 130, SIGTERM: 143), 2 wrong usage, 1 any other
// failure.
int exit_status(ErrorCode code);

// What messages on standard error begin with. Called before any other thread runs.
void set_program_name(std::string name);

// "pie: message" on standard error. Returns the exit status, so that a command can end with it.
int print_error(const Error& error);

// The GGUF that -m named, or, where `hub` is not empty, -hf. One of the hub is fetched if it is not here,
// with progress on standard error.
Result<std::filesystem::path> find_model(std::string_view name, std::string_view hub);

} // namespace pie
