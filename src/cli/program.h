#pragma once

// The program's commands and flags: what its arguments mean, before anything is done. main runs it, and tests
// hold the documentation to it.

#include "cli/command.h"

#include <pie/result.h>

#include <CLI/CLI.hpp>

#include <memory>
#include <span>

namespace pie {

// All commands; parsing sets `run`, which must outlive it.
std::unique_ptr<CLI::App> make_program(CommandRun& run);

// What the arguments, without the program's name, ask for; --help and --version are work like any other.
// Errors: invalid_argument, with what may have been meant.
Result<CommandRun> parse_arguments(std::span<const char* const> arguments);

} // namespace pie
