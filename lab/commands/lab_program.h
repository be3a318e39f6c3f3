#pragma once

// pie-lab's commands and flags.

#include "cli/command.h"

#include <CLI/CLI.hpp>

#include <memory>

namespace pie {

// All commands; parsing sets `run`, which must outlive it.
std::unique_ptr<CLI::App> make_lab_program(CommandRun& run);

void add_bench_command(CLI::App& app, CommandRun& run);
void add_eval_command(CLI::App& app, CommandRun& run);
void add_optimize_command(CLI::App& app, CommandRun& run);

} // namespace pie
