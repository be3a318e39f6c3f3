#include "bench/plain_batch.h"

#include "base/elapsed.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace pie {

Result<double> plain_batch_milliseconds(Engine& engine, KvCache& cache, std::span<const TokenId> tokens) {
    const int32_t depth = cache.cells().n_tokens();
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    for (const TokenId token : tokens) {
        positions.emplace_back(cache.cells().n_tokens());
        cells.push_back(cache.cells().append(token));
    }
    const auto last = static_cast<int32_t>(tokens.size()) - 1;
    const auto start = std::chrono::steady_clock::now();
    auto logits = engine.compute(
        cache, {.tokens = tokens, .positions = positions, .cells = cells, .outputs = std::span(&last, 1)});
    const double taken = milliseconds_since(start);
    cache.cells().truncate(depth);
    PIE_TRY(logits);
    return taken;
}

void fill_without_encoding(KvCells& cells, int32_t n_tokens) {
    while (cells.n_tokens() < n_tokens) {
        cells.append(TokenId(0));
    }
}

Result<std::unique_ptr<PlainBatch>> PlainBatch::create(const LoadedModel& model, int32_t n_threads,
                                                       int32_t n_cells) {
    PIE_ASSIGN(auto cache, KvCache::create(model, {.n_cells = n_cells}));
    PIE_ASSIGN(auto engine, Engine::create(model, {.n_threads = n_threads}));
    PIE_TRY(engine->reserve(*cache));
    return std::unique_ptr<PlainBatch>(new PlainBatch(std::move(cache), std::move(engine)));
}

Result<double> PlainBatch::milliseconds(int32_t n_before, int32_t n_tokens) {
    KvCells& cells = cache_->cells();
    cells.truncate(std::min(cells.n_tokens(), n_before));
    fill_without_encoding(cells, n_before);
    const std::vector<TokenId> tokens(static_cast<size_t>(n_tokens), TokenId(0));
    return plain_batch_milliseconds(*engine_, *cache_, tokens);
}

} // namespace pie
