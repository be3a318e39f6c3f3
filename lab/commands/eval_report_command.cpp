#include "base/files.h"
#include "commands/eval_commands.h"
#include "eval/report.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace pie {

Result<void> report_on(const std::filesystem::path& folder) {
    PIE_ASSIGN(const std::vector<Measurement> measurements, read_measurements(folder));
    const Report report = make_report(measurements);
    const std::string markdown = report_markdown(report);
    PIE_TRY(write_file_atomic(folder / "report.md", markdown));
    PIE_TRY(write_file_atomic(folder / "report.csv", report_csv(report)));
    PIE_TRY(write_file_atomic(folder / "layers.csv", layers_csv(report)));
    fmt::print("{}", markdown);
    return {};
}

void add_eval_report_command(CLI::App& eval, CommandRun& run) {
    auto folder = std::make_shared<std::string>();
    CLI::App* command =
        eval.add_subcommand("report", "Tables of a folder's results, as text, Markdown and CSV");
    command->add_option("dir", *folder, "The folder that 'pie-lab eval run' wrote to")->required();
    command->callback([folder, &run] {
        run = [folder] {
            const auto result = report_on(*folder);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
