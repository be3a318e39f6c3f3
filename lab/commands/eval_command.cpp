// pie-lab eval: how close each way of reusing the cache comes to full recompute. Its three commands: samples
// to measure on, the measurements, and their tables.

#include "commands/eval_commands.h"
#include "commands/lab_program.h"

namespace pie {

void add_eval_command(CLI::App& app, CommandRun& run) {
    CLI::App* command =
        app.add_subcommand("eval", "Measure how far ways of reusing the cache are from full recompute");
    command->footer("Examples:\n  pie-lab eval build --repo SOURCES -n 20 --out samples.jsonl\n"
                    "  pie-lab eval run --data samples.jsonl --methods full:64,pie,pie+seam:8 --out results\n"
                    "  pie-lab eval report results");
    command->require_subcommand(1);
    add_eval_build_command(*command, run);
    add_eval_run_command(*command, run);
    add_eval_report_command(*command, run);
}

} // namespace pie
