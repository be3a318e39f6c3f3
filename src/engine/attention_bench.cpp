// What our attention gains over ggml's in whole batches of few tokens at the end of a long sequence, which is
// what edits and decode steps are: both take turns on the same cache, in one run.
//
//   attention_bench MODEL.gguf [DEPTH]
//
// The sequence is tokens drawn at random.

#include "base/quantile.h"
#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace pie {
namespace {

constexpr std::array batch_sizes = {1, 2, 4, 9, 16, 26, 40, 63};
constexpr int n_turns = 3;
constexpr int n_repetitions = 3; // of a turn

// Appends a batch, and says how long it took.
Result<double> append_milliseconds(Engine& engine, KvCache& cache, int32_t n_tokens) {
    std::mt19937 random(static_cast<uint32_t>(cache.cells().n_tokens()));
    std::uniform_int_distribution<int32_t> any(0, engine.model().vocabulary().size() - 1);
    std::vector<TokenId> tokens;
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    for (int32_t i = 0; i < n_tokens; ++i) {
        tokens.emplace_back(any(random));
        positions.emplace_back(cache.cells().n_tokens());
        cells.push_back(cache.cells().append(tokens.back()));
    }
    const int32_t last = n_tokens - 1;
    const auto start = std::chrono::steady_clock::now();
    PIE_TRY(engine.compute(
        cache, {.tokens = tokens, .positions = positions, .cells = cells, .outputs = std::span(&last, 1)}));
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

Result<double> batch_milliseconds(Engine& engine, KvCache& cache, int32_t n_tokens) {
    const int32_t depth = cache.cells().n_tokens();
    PIE_ASSIGN(const double taken, append_milliseconds(engine, cache, n_tokens));
    cache.cells().truncate(depth);
    return taken;
}

Result<void> prefill(const LoadedModel& model, KvCache& cache, int32_t depth) {
    PIE_ASSIGN(const auto engine, Engine::create(model));
    PIE_TRY(engine->reserve(cache));
    while (cache.cells().n_tokens() < depth) {
        PIE_TRY(append_milliseconds(*engine, cache,
                                    std::min(engine->n_batch(), depth - cache.cells().n_tokens())));
    }
    return {};
}

Result<void> run(const char* path, int32_t depth) {
    PIE_ASSIGN(const auto model, LoadedModel::load(path));
    PIE_ASSIGN(const auto cache, KvCache::create(*model, {.n_cells = depth + 64}));
    PIE_TRY(prefill(*model, *cache, depth));
    fmt::print("{} tokens cached; medians of {} in ms\ntokens   ggml   ours   times\n", depth,
               n_turns * n_repetitions);
    for (const int32_t n_tokens : batch_sizes) {
        std::map<KernelPath, std::vector<double>> times;
        for (int turn = 0; turn < n_turns; ++turn) {
            for (const KernelPath kernels : {KernelPath::graph, KernelPath::host_first}) {
                // One at a time: the threads of an idle engine go on looking for work for a while.
                PIE_ASSIGN(const auto engine, Engine::create(*model, {.attention = kernels}));
                PIE_TRY(engine->reserve(*cache));
                PIE_TRY(batch_milliseconds(*engine, *cache, n_tokens)); // builds the graph
                for (int i = 0; i < n_repetitions; ++i) {
                    PIE_ASSIGN(const double taken, batch_milliseconds(*engine, *cache, n_tokens));
                    times[kernels].push_back(taken);
                }
            }
        }
        const double theirs = median(times[KernelPath::graph]);
        const double ours = median(times[KernelPath::host_first]);
        fmt::print("{:6} {:6.1f} {:6.1f}   {:.2f}\n", n_tokens, theirs, ours, theirs / ours);
    }
    return {};
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    int depth = 4096;
    const std::string_view number = argc == 3 ? argv[2] : "4096";
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), depth);
    if (argc < 2 || argc > 3 || error != std::errc() || end != number.data() + number.size() || depth < 1) {
        fmt::print(stderr, "usage: attention_bench MODEL.gguf [DEPTH]\n");
        return 2;
    }
    const auto done = pie::run(argv[1], depth);
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
