#pragma once

// The command line of a program with commands: from its arguments to its exit status. pie and pie-lab are two
// of them.

#include "cli/command.h"

#include <pie/result.h>

#include <CLI/CLI.hpp>

#include <memory>
#include <span>
#include <string>

namespace pie {

// Makes the program's commands and flags; parsing sets `run`, which must outlive it.
using MakeProgram = std::unique_ptr<CLI::App> (*)(CommandRun& run);

// A flag with one dash and several letters, such as -hf, as CLI11 knows it: --hf. Any other word as it is.
std::string long_flag(const std::string& word);

// What the arguments, without the program's name, ask for; --help and --version are work like any other.
// Messages begin with the program's name from then on. Errors: invalid_argument, with what may have been
// meant.
Result<CommandRun> parse_arguments(MakeProgram make_program, std::span<const char* const> arguments);

// All of main: parses the flags, runs the chosen command, and turns whatever happens into an exit status.
int run_program(MakeProgram make_program, int argc, char** argv);

} // namespace pie
