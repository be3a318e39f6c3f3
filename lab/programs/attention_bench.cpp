// What our attention gains over ggml's in whole batches of few tokens at the end of a long sequence, which is
// what edits and decode steps are: both take turns on the same cache, in one run.
//
//   attention_bench MODEL.gguf [DEPTH]

#include "base/quantile.h"
#include "bench/number_argument.h"
#include "bench/plain_batch.h"
#include "cache/kv_cache.h"
#include "engine/engine.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <vector>

namespace pie {
namespace {

constexpr std::array batch_sizes = {1, 2, 4, 9, 16, 26, 40, 63};
constexpr int n_turns = 3;
constexpr int n_repetitions = 3; // of a turn

Result<void> run(const char* path, int32_t depth) {
    PIE_ASSIGN(const auto model, LoadedModel::load(path));
    PIE_ASSIGN(const auto cache, KvCache::create(*model, {.n_cells = depth + batch_sizes.back()}));
    fill_without_encoding(cache->cells(), depth);
    fmt::print("{} tokens cached; medians of {} in ms\ntokens   ggml   ours   times\n", depth,
               n_turns * n_repetitions);
    for (const int32_t n_tokens : batch_sizes) {
        const std::vector<TokenId> batch(static_cast<size_t>(n_tokens), TokenId(0));
        std::map<KernelPath, std::vector<double>> times;
        for (int turn = 0; turn < n_turns; ++turn) {
            for (const KernelPath kernels : {KernelPath::graph, KernelPath::host_first}) {
                // One at a time: the threads of an idle engine go on looking for work for a while.
                PIE_ASSIGN(const auto engine, Engine::create(*model, {.attention = kernels}));
                PIE_TRY(engine->reserve(*cache));
                PIE_TRY(plain_batch_milliseconds(*engine, *cache, batch)); // builds the graph
                for (int i = 0; i < n_repetitions; ++i) {
                    PIE_ASSIGN(const double taken, plain_batch_milliseconds(*engine, *cache, batch));
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
    if (argc < 2 || argc > 3 || !pie::read_argument(argc, argv, 2, depth)) {
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
