#include "commands/lab_program.h"

namespace pie {

std::unique_ptr<CLI::App> make_lab_program(CommandRun& run) {
    auto app = std::make_unique<CLI::App>(
        "pie-lab measures pie.cpp: its speed beside llama.cpp's, and its answers beside full recompute's.",
        "pie-lab");
    app->set_version_flag("--version", "pie-lab " PIE_VERSION);
    app->require_subcommand(1);
    add_bench_command(*app, run);
    add_eval_command(*app, run);
    add_optimize_command(*app, run);
    // Behind the commands, which would inherit it.
    app->footer("Examples:\n  pie-lab bench --against PEERS/llama-bench\n"
                "  pie-lab eval run --data samples.jsonl --out results\n"
                "  pie-lab optimize qwen2.5-coder-0.5b");
    return app;
}

} // namespace pie
