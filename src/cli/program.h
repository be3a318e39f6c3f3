#pragma once

// pie's commands and flags. main runs them, and tests hold the documentation to them.

#include "cli/command.h"

#include <CLI/CLI.hpp>

#include <memory>

namespace pie {

// All commands; parsing sets `run`, which must outlive it.
std::unique_ptr<CLI::App> make_program(CommandRun& run);

} // namespace pie
