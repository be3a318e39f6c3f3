#pragma once

// The commands below `pie model` that have files of their own.

#include "cli/command.h"

namespace pie {

void add_model_optimize_command(CLI::App& model, CommandRun& run);

} // namespace pie
