#pragma once

// What measurements of servers say: the quantiles of each system, how much sooner than llama-server's best
// setting ours gives the first token, how far it is from the limit, and which of these ratios fell between
// two runs.
//
// Thread rule: pure functions.

#include "bench/serving_results.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct Quantiles {
    double p50 = 0;
    double p99 = 0; // the largest of fewer than 100
};

// By the nearest rank. Of nothing both are 0.
Quantiles quantiles_of(const std::vector<double>& values);

struct SystemSummary {
    std::string system;
    size_t n_steps = 0;
    Quantiles first_ms;
    Quantiles total_ms;
    double prompt_ms = 0; // p50, like the following
    double tokens_encoded = 0;
    double tokens_context = 0;
    double tokens_written = 0;
    double saved = 0;               // share of the context that was not encoded
    std::optional<double> joules;   // none where the machine does not tell
    double decode_tokens_per_s = 0; // behind the first token, of all steps together
    int32_t n_checked = 0;
    double equal_first_lines = 0;
    double equal_tokens = 0;
    uint64_t peak_memory_bytes = 0;
};

// One workload at one length of context.
struct ServingCell {
    RunConditions conditions;
    std::string workload;
    int32_t context = 0;
    std::vector<SystemSummary> systems;  // in the order of the table of systems, the limit last
    std::optional<Quantiles> over_limit; // of the ratios of ours to the limit, a step each
    std::string best;                    // llama-server's quickest setting by p50; empty where there is none
    // Llama-server's times over ours: those of its quickest setting at either quantile, and of the quickest
    // that is asked as editors ask.
    std::optional<Quantiles> sooner;
    std::optional<Quantiles> sooner_as_used;
};

// By model, threads and context; workloads in the order of their table. Where a cell was measured more than
// once, the last time counts.
std::vector<ServingCell> summarise_serving(std::span<const ServingMeasurement> measurements);

// "typing at 4096 tokens"
std::string cell_name(const ServingCell& cell);

// Null where the cell has no time of it.
const SystemSummary* find_system(const ServingCell& cell, std::string_view name);

struct RatioChange {
    std::string name; // "typing at 4096 tokens of MODEL"
    double before = 0;
    double after = 0;
    bool fell = false;
};

// `sooner` at p50 of the cells that are in both.
std::vector<RatioChange> compare_serving(std::span<const ServingCell> before,
                                         std::span<const ServingCell> after, double tolerance);

} // namespace pie
