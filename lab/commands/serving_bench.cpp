#include "commands/serving_bench.h"

#include "base/files.h"
#include "bench/commit.h"
#include "bench/program_output.h"
#include "bench/serving_report.h"
#include "bench/serving_run.h"
#include "bench/serving_tables.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "eval/source_tree.h"
#include "model/model.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>

namespace pie {
namespace {

std::string processor_name() {
    constexpr std::string_view field = "model name";
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with(field)) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown processor";
}

std::string result_text(const std::vector<ServingCell>& cells, ResultFormat format) {
    return format == ResultFormat::json_lines ? serving_lines(cells) : serving_tables(cells);
}

// What was measured under these conditions, and not what else lies in the folder.
std::vector<ServingCell> cells_of(const ServingResults& results, const RunConditions& conditions) {
    std::vector<ServingMeasurement> measurements;
    for (const ServingMeasurement& measurement : results.all()) {
        if (measurement.conditions.commit == conditions.commit &&
            measurement.conditions.fingerprint == conditions.fingerprint) {
            measurements.push_back(measurement);
        }
    }
    return summarise_serving(measurements);
}

} // namespace

Result<void> run_serving_bench(const ServingArguments& arguments, const std::string& model) {
    PIE_ASSIGN(auto workloads, choose_workloads(arguments.workloads));
    PIE_ASSIGN(auto systems, choose_systems(arguments.systems));
    PIE_ASSIGN(const SourceTree sources, read_source_tree(arguments.sources));
    PIE_ASSIGN(const std::filesystem::path path, find_model(model, ""));
    PIE_ASSIGN(const auto loaded, LoadedModel::load(path));
    PIE_ASSIGN(const auto engine, Engine::create(*loaded, {.n_threads = arguments.n_threads}));
    RunConditions conditions{.commit = std::string(built_commit()),
                             .model = path.filename().string(),
                             .fingerprint = loaded->fingerprint(),
                             .llama_server = {},
                             .machine = processor_name(),
                             .seed = arguments.seed};
    PIE_ASSIGN(conditions.llama_server, program_version(arguments.llama_server));
    ServingResults results;
    if (!arguments.out.empty()) {
        PIE_ASSIGN(results, ServingResults::open(arguments.out));
    }
    ServingRun run(*loaded, sources,
                   {.pie = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "pie",
                    .llama_server = arguments.llama_server,
                    .model = path,
                    .n_threads = engine->n_threads(),
                    .logs = arguments.out},
                   conditions,
                   {.workloads = std::move(workloads),
                    .systems = std::move(systems),
                    .contexts = arguments.contexts,
                    .n_steps = arguments.n_steps,
                    .check_every = arguments.check_every});
    Progress progress(progress_on_stderr());
    PIE_TRY(run.run(results, progress));
    fmt::print("{}", result_text(cells_of(results, conditions), arguments.format));
    std::fflush(stdout);
    return {};
}

Result<void> print_serving_report(const std::string& folder, ResultFormat format) {
    PIE_ASSIGN(const ServingResults results, ServingResults::read(folder));
    fmt::print("{}", result_text(summarise_serving(results.all()), format));
    return {};
}

Result<bool> print_serving_comparison(const std::string& before, const std::string& after, double tolerance) {
    PIE_ASSIGN(const ServingResults old_results, ServingResults::read(before));
    PIE_ASSIGN(const ServingResults new_results, ServingResults::read(after));
    const std::vector<RatioChange> changes = compare_serving(summarise_serving(old_results.all()),
                                                             summarise_serving(new_results.all()), tolerance);
    if (changes.empty()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} and {} have no workload, context, model and number of threads in common",
                                before, after));
    }
    bool is_fine = true;
    for (const RatioChange& change : changes) {
        is_fine = is_fine && !change.fell;
        const std::string line = fmt::format("{}: {:.1f} times sooner, was {:.1f}{}", change.name,
                                             change.after, change.before, change.fell ? ": fell" : "");
        fmt::print("{}\n", change.fell ? coloured(Stream::out, Colour::red, line) : line);
    }
    return is_fine;
}

} // namespace pie
