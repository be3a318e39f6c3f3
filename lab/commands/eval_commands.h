#pragma once

// The commands below `pie-lab eval`, each in a file of its own, and what two of them share.

#include "cli/command.h"

#include <filesystem>

namespace pie {

void add_eval_build_command(CLI::App& eval, CommandRun& run);
void add_eval_run_command(CLI::App& eval, CommandRun& run);
void add_eval_report_command(CLI::App& eval, CommandRun& run);

// Prints the tables of a folder's results, and writes them there as report.md, report.csv and layers.csv.
// Errors: those of read_measurements(), io.
Result<void> report_on(const std::filesystem::path& folder);

} // namespace pie
