#pragma once

// `pie-lab bench --against llama-bench`: the engine's throughput beside llama-bench's, and edits beside the
// least that they can cost.

#include <pie/result.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace pie {

struct ThroughputArguments {
    std::filesystem::path llama_bench;
    int32_t n_threads = 0; // 0: physical cores
    int32_t rounds = 3;
    bool json = false;
};

// Measures and prints. Errors: those of loading and of either side; cancelled.
Result<void> run_throughput_bench(const ThroughputArguments& arguments, const std::string& model);

} // namespace pie
