// pie-lab bench --against llama-bench llama-server: the engine's times beside llama.cpp's, and beside the
// least that an edit can cost.

#include "cli/command.h"
#include "commands/lab_program.h"
#include "commands/serving_bench.h"
#include "commands/throughput_bench.h"
#include "model/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

struct BenchArguments {
    std::vector<std::string> models = {catalogue().default_model};
    std::vector<std::string> peers;
    int32_t n_threads = 0;
    bool json = false;
    ThroughputArguments throughput;
    ServingArguments serving;
};

const std::map<std::string, int32_t> token_units = {{"k", 1024}};

ResultFormat format_of(bool json) {
    return json ? ResultFormat::json_lines : ResultFormat::tables;
}

// Tells the programs apart by their names, as they may lie anywhere.
Result<void> take_peers(BenchArguments& arguments) {
    for (const std::string& peer : arguments.peers) {
        const std::string name = std::filesystem::path(peer).filename().string();
        if (name.starts_with("llama-bench")) {
            arguments.throughput.llama_bench = peer;
        } else if (name.starts_with("llama-server")) {
            arguments.serving.llama_server = peer;
        } else {
            return fail(
                ErrorCode::invalid_argument,
                fmt::format("{} is neither a llama-bench nor a llama-server by its name; 'make bench' "
                            "builds both",
                            peer));
        }
    }
    return {};
}

Result<void> run_bench(BenchArguments arguments) {
    PIE_TRY(take_peers(arguments));
    arguments.throughput.n_threads = arguments.serving.n_threads = arguments.n_threads;
    arguments.throughput.json = arguments.json;
    arguments.serving.format = format_of(arguments.json);
    for (const std::string& model : arguments.models) {
        if (!arguments.throughput.llama_bench.empty()) {
            PIE_TRY(run_throughput_bench(arguments.throughput, model));
        }
        if (!arguments.serving.llama_server.empty()) {
            PIE_TRY(run_serving_bench(arguments.serving, model));
        }
    }
    return {};
}

void add_serving_flags(CLI::App& command, ServingArguments& arguments) {
    command
        .add_option("--workloads", arguments.workloads,
                    "What both servers go through: 'standard', 'all', or names")
        ->capture_default_str();
    command
        .add_option("--systems", arguments.systems,
                    "Settings of llama-server to measure beside: 'all', or names; pie is always there")
        ->capture_default_str();
    command.add_option("--contexts", arguments.contexts, "Tokens of the document that is edited: 1k,4k")
        ->delimiter(',')
        ->transform(CLI::AsNumberWithUnit(token_units))
        ->check(CLI::Range(64, 1 << 20))
        ->default_str("4k");
    command
        .add_option("--steps", arguments.n_steps, "Requests of each workload; the default is its own number")
        ->check(CLI::Range(1, 100'000));
    command
        .add_option("--check-every", arguments.check_every,
                    "Steps from one comparison with full recompute to the next; 0: none")
        ->capture_default_str();
    command.add_option("--seed", arguments.seed, "Decides the order of the source files")
        ->capture_default_str();
    command.add_option("--source", arguments.sources, "A folder of source files, to make documents of")
        ->capture_default_str();
    command.add_option("--out", arguments.out,
                       "A folder for the times of each step; what it holds is not measured again");
}

void add_report_command(CLI::App& bench, CommandRun& run) {
    struct Arguments {
        std::string folder;
        bool json = false;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = bench.add_subcommand("report", "Print the tables of a folder of results");
    command->add_option("folder", arguments->folder, "What --out was")->required();
    command->add_flag("--json", arguments->json, "One JSON object a workload and context");
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = print_serving_report(arguments->folder, format_of(arguments->json));
            return result ? 0 : print_error(result.error());
        };
    });
}

void add_compare_command(CLI::App& bench, CommandRun& run) {
    struct Arguments {
        std::string before;
        std::string after;
        double tolerance = 0.15;
    };
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command =
        bench.add_subcommand("compare", "Say which ratios of one folder fell in another; 1 where any did");
    command->add_option("before", arguments->before, "The older results")->required();
    command->add_option("after", arguments->after, "The newer ones")->required();
    command->add_option("--tolerance", arguments->tolerance, "Share of a ratio that may be lost")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto is_fine =
                print_serving_comparison(arguments->before, arguments->after, arguments->tolerance);
            return is_fine ? (*is_fine ? 0 : 1) : print_error(is_fine.error());
        };
    });
}

} // namespace

void add_bench_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<BenchArguments>();
    CLI::App* command =
        app.add_subcommand("bench", "Measure beside llama.cpp ('make bench' builds what it takes)");
    command->footer(
        "Examples:\n  pie-lab bench --against PEERS/llama-bench PEERS/llama-server --out results\n"
        "  pie-lab bench --against PEERS/llama-server --workloads typing,jump --contexts 8k --steps 20\n"
        "  pie-lab bench report results");
    command->add_option("--against", arguments->peers,
                        "Programs to measure against, known by their names: llama-bench (throughput) and "
                        "llama-server (the time from an edit to the first token)");
    command->add_option("-m,--model", arguments->models, "Models of 'pie model list', or paths to GGUF files")
        ->capture_default_str();
    command->add_option("-t,--threads", arguments->n_threads, "Threads; the default is one a physical core")
        ->check(CLI::Range(1, 1024));
    command->add_option("--rounds", arguments->throughput.rounds, "Turns that llama-bench and we take")
        ->check(CLI::Range(1, 99))
        ->capture_default_str();
    command->add_flag("--json", arguments->json, "JSON objects, one a line");
    add_serving_flags(*command, arguments->serving);
    add_report_command(*command, run);
    add_compare_command(*command, run);
    command->callback([arguments, command, &run] {
        if (!command->get_subcommands().empty()) {
            return;
        }
        if (arguments->peers.empty()) {
            throw CLI::RequiredError("--against");
        }
        run = [arguments] {
            const auto result = run_bench(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
