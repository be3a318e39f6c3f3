#pragma once

// `pie-lab bench --against llama-server`: both servers under the requests of somebody who edits, side by
// side.

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pie {

enum class ResultFormat { tables, json_lines };

struct ServingArguments {
    std::filesystem::path llama_server;
    int32_t n_threads = 0; // 0: physical cores
    std::string workloads = "standard";
    std::string systems = "all";
    std::vector<int32_t> contexts = {4096};
    size_t n_steps = 0; // 0: each workload's own number
    size_t check_every = 8;
    uint64_t seed = 1;
    std::string sources = "src"; // a folder
    std::string out;             // a folder; empty: nothing is kept
    ResultFormat format = ResultFormat::tables;
};

// Measures and prints. Errors: those of the servers; cancelled.
Result<void> run_serving_bench(const ServingArguments& arguments, const std::string& model);

// Prints the tables of a folder of results. Errors: not_found, io, corrupt.
Result<void> print_serving_report(const std::string& folder, ResultFormat format);

// Prints what became of the ratios of one folder in another, and returns whether none fell.
Result<bool> print_serving_comparison(const std::string& before, const std::string& after, double tolerance);

} // namespace pie
