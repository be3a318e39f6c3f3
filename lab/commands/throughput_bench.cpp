#include "commands/throughput_bench.h"

#include "base/interrupt.h"
#include "base/quantile.h"
#include "base/units.h"
#include "bench/engine_bench.h"
#include "bench/llama_bench.h"
#include "cli/command.h"
#include "cli/terminal.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t depths[] = {0, 4096};
constexpr int32_t edit_sizes[] = {1, 4, 16, 64};
constexpr int32_t edit_repetitions = 9;

// Medians over the rounds, of each figure and of the ratio within a round.
struct DepthResult {
    int32_t depth = 0;
    Throughput ours;
    Throughput peer;
    double prefill_ratio = 0;
    double decode_ratio = 0;
};

struct ModelResult {
    std::string model;
    int32_t n_threads = 0;
    std::vector<DepthResult> depths;
    std::vector<EditTiming> edits; // at the largest depth
    ModelMemory memory;
};

void say(const std::string& line) {
    print_note(coloured(Stream::err, Colour::dim, line));
}

Result<DepthResult> measure_depth(EngineBench& bench, const ThroughputArguments& arguments,
                                  const std::filesystem::path& model, int32_t depth) {
    std::vector<double> prefill, decode, peer_prefill, peer_decode, prefill_ratio, decode_ratio;
    for (int32_t round = 0; round < arguments.rounds; ++round) {
        if (interrupted()) {
            return fail_interrupted("nothing was kept");
        }
        say(fmt::format("throughput at depth {}, round {} of {}", depth, round + 1, arguments.rounds));
        PIE_ASSIGN(const Throughput ours, bench.throughput(depth));
        PIE_ASSIGN(const Throughput peer,
                   run_llama_bench(arguments.llama_bench, model, bench.n_threads(), depth));
        prefill.push_back(ours.prefill_tokens_per_s);
        decode.push_back(ours.decode_tokens_per_s);
        peer_prefill.push_back(peer.prefill_tokens_per_s);
        peer_decode.push_back(peer.decode_tokens_per_s);
        prefill_ratio.push_back(ours.prefill_tokens_per_s / peer.prefill_tokens_per_s);
        decode_ratio.push_back(ours.decode_tokens_per_s / peer.decode_tokens_per_s);
    }
    return DepthResult{depth,
                       {median(prefill), median(decode)},
                       {median(peer_prefill), median(peer_decode)},
                       median(prefill_ratio),
                       median(decode_ratio)};
}

Result<ModelResult> measure_model(const ThroughputArguments& arguments, const std::string& name) {
    PIE_ASSIGN(const std::filesystem::path path, find_model(name, ""));
    const int32_t depth_max = *std::ranges::max_element(depths);
    PIE_ASSIGN(const auto bench, EngineBench::create(path, arguments.n_threads, depth_max));
    ModelResult result{
        .model = name, .n_threads = bench->n_threads(), .depths = {}, .edits = {}, .memory = {}};
    PIE_ASSIGN(result.memory, bench->memory());
    for (const int32_t depth : depths) {
        PIE_ASSIGN(const DepthResult measured, measure_depth(*bench, arguments, path, depth));
        result.depths.push_back(measured);
    }
    for (const int32_t n_inserted : edit_sizes) {
        if (interrupted()) {
            return fail_interrupted("nothing was kept");
        }
        say(fmt::format("{} tokens inserted at a quarter of {}", n_inserted, depth_max));
        PIE_ASSIGN(EditTiming timing, bench->edit(depth_max, n_inserted, edit_repetitions));
        result.edits.push_back(std::move(timing));
    }
    return result;
}

void print_text(const ModelResult& result) {
    fmt::print("{}, {} threads\n\n", coloured(Stream::out, Colour::bold, result.model), result.n_threads);
    fmt::print("{:<28} {:>10} {:>12} {:>7}\n", "tokens per second", "pie", "llama-bench", "ratio");
    for (const DepthResult& d : result.depths) {
        fmt::print("{:<28} {:>10.1f} {:>12.1f} {:>7.3f}\n", fmt::format("prefill at depth {}", d.depth),
                   d.ours.prefill_tokens_per_s, d.peer.prefill_tokens_per_s, d.prefill_ratio);
        fmt::print("{:<28} {:>10.1f} {:>12.1f} {:>7.3f}\n", fmt::format("decode at depth {}", d.depth),
                   d.ours.decode_tokens_per_s, d.peer.decode_tokens_per_s, d.decode_ratio);
    }
    fmt::print("\n{:<28} {:>10} {:>12} {:>7}\n", "edit to first token, ms", "edit", "plain batch", "ratio");
    for (const EditTiming& e : result.edits) {
        fmt::print("{:<28} {:>10.1f} {:>12.1f} {:>7.3f}\n",
                   fmt::format("insert {} ({} encoded)", e.tokens_inserted, e.tokens_encoded),
                   median(e.edit_ms), median(e.batch_ms), median(e.edit_ms) / median(e.batch_ms));
    }
    fmt::print("\nmemory beyond the weights: {}, libllama's context {}\n\n",
               format_bytes(result.memory.ours_bytes), format_bytes(result.memory.libllama_bytes));
}

nlohmann::json as_json(const ModelResult& result) {
    nlohmann::json depths_json = nlohmann::json::array();
    for (const DepthResult& d : result.depths) {
        depths_json.push_back({{"depth", d.depth},
                               {"prefill_tokens_per_s", d.ours.prefill_tokens_per_s},
                               {"decode_tokens_per_s", d.ours.decode_tokens_per_s},
                               {"llama_bench_prefill_tokens_per_s", d.peer.prefill_tokens_per_s},
                               {"llama_bench_decode_tokens_per_s", d.peer.decode_tokens_per_s},
                               {"prefill_ratio", d.prefill_ratio},
                               {"decode_ratio", d.decode_ratio}});
    }
    nlohmann::json edits = nlohmann::json::array();
    for (const EditTiming& e : result.edits) {
        edits.push_back({{"tokens_inserted", e.tokens_inserted},
                         {"tokens_encoded", e.tokens_encoded},
                         {"rows_rotated", e.rows_rotated},
                         {"edit_ms", e.edit_ms},
                         {"batch_ms", e.batch_ms}});
    }
    return {{"model", result.model},
            {"threads", result.n_threads},
            {"throughput", depths_json},
            {"edits", edits},
            {"memory_bytes", result.memory.ours_bytes},
            {"libllama_memory_bytes", result.memory.libllama_bytes}};
}

} // namespace

Result<void> run_throughput_bench(const ThroughputArguments& arguments, const std::string& model) {
    PIE_ASSIGN(const ModelResult result, measure_model(arguments, model));
    if (arguments.json) {
        fmt::print("{}\n", as_json(result).dump());
    } else {
        print_text(result);
    }
    std::fflush(stdout);
    return {};
}

} // namespace pie
