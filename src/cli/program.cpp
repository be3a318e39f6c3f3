#include "cli/program.h"

namespace pie {

std::unique_ptr<CLI::App> make_program(CommandRun& run) {
    auto app = std::make_unique<CLI::App>(
        "pie completes code while it is being edited: an edit costs the tokens that were typed.", "pie");
    app->set_version_flag("--version", "pie " PIE_VERSION);
    app->require_subcommand(1);
    add_complete_command(*app, run);
    add_edit_command(*app, run);
    add_demo_command(*app, run);
    add_model_command(*app, run);
    add_serve_command(*app, run);
    // Behind the commands, which would inherit it.
    app->footer(
        "Examples:\n  pie model pull qwen2.5-coder-0.5b\n  pie complete src/main.cpp:42:9\n  pie serve");
    return app;
}

} // namespace pie
