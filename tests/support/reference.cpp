#include "support/reference.h"

#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>

namespace pie::testing {

std::unique_ptr<LoadedModel> load_tiny_model(const TinyModel& description, MatrixTypes matrix_types) {
    const TemporaryFolder folder;
    const auto path = folder.path() / "tiny.gguf";
    write_tiny_model(description, path);
    auto model = LoadedModel::load(path, {.matrix_types = matrix_types});
    PIE_CHECK(model.has_value(), model.error().message.c_str());
    return *std::move(model);
}

std::vector<TokenId> random_tokens(int32_t n, uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int32_t> token(0, tiny_vocabulary_size - 1);
    std::vector<TokenId> tokens(static_cast<size_t>(n));
    std::ranges::generate(tokens, [&] { return TokenId(token(random)); });
    return tokens;
}

Reference::Reference(const LoadedModel& model, const DecodeOptions& options)
    : n_vocab_(model.vocabulary().size()) {
    // libllama turns quantised caches by a Hadamard matrix, which an engine that rotates stored keys cannot
    // do.
    setenv("LLAMA_ATTN_ROT_DISABLE", "1", 1);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(options.n_cells);
    params.n_batch = static_cast<uint32_t>(options.n_batch);
    params.n_ubatch = params.n_batch;
    params.n_threads = options.n_threads;
    params.n_threads_batch = options.n_threads;
    params.type_k = options.type_k;
    params.type_v = options.type_v;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.offload_kqv = false;
    params.op_offload = false;
    context_.reset(llama_init_from_model(model.get(), params));
    PIE_CHECK(context_ != nullptr, "libllama makes a context for a model that it loaded");
}

std::vector<float> Reference::decode(std::span<const TokenId> tokens, std::span<const int32_t> outputs) {
    const auto n = static_cast<int32_t>(tokens.size());
    llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int32_t i = 0; i < n; ++i) {
        batch.token[i] = tokens[static_cast<size_t>(i)].value;
        batch.pos[i] = n_past_ + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = std::ranges::find(outputs, i) != outputs.end() ? 1 : 0;
    }
    const int32_t status = llama_decode(context_.get(), batch);
    llama_batch_free(batch);
    PIE_CHECK(status == 0, "libllama decodes what fits into its context");
    n_past_ += n;
    std::vector<float> logits;
    for (const int32_t output : outputs) {
        const float* row = llama_get_logits_ith(context_.get(), output);
        logits.insert(logits.end(), row, row + n_vocab_);
    }
    return logits;
}

Appender::Appender(const LoadedModel& model, const DecodeOptions& options) : products_(options.products) {
    auto cache = KvCache::create(
        model, {.n_cells = options.n_cells, .type_k = options.type_k, .type_v = options.type_v});
    PIE_CHECK(cache.has_value(), cache.error().message.c_str());
    cache_ = *std::move(cache);
    auto engine = Engine::create(
        model, {.n_threads = options.n_threads, .n_batch = options.n_batch, .attention = options.attention});
    PIE_CHECK(engine.has_value(), engine.error().message.c_str());
    engine_ = *std::move(engine);
}

std::vector<float> Appender::decode(std::span<const TokenId> tokens, std::span<const int32_t> outputs) {
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    for (const TokenId token : tokens) {
        positions.emplace_back(cache_->cells().n_tokens());
        cells.push_back(cache_->cells().append(token));
    }
    const auto logits = engine_->compute(*cache_, {.tokens = tokens,
                                                   .positions = positions,
                                                   .cells = cells,
                                                   .outputs = outputs,
                                                   .products = products_});
    PIE_CHECK(logits.has_value(), logits.error().message.c_str());
    return {logits->begin(), logits->end()};
}

std::vector<std::vector<float>> last_values(const KvCache& cache) {
    const ggml_tensor* tensor = cache.values(cache.n_layer() - 1);
    std::vector<std::vector<float>> values;
    std::vector<ggml_fp16_t> row(static_cast<size_t>(tensor->ne[0]));
    for (int32_t i = 0; i < cache.cells().n_tokens(); ++i) {
        const auto cell = static_cast<size_t>(cache.cells().cell_at(Position(i)).value);
        ggml_backend_tensor_get(tensor, row.data(), cell * tensor->nb[1], tensor->nb[1]);
        ggml_fp16_to_fp32_row(row.data(), values.emplace_back(row.size()).data(), tensor->ne[0]);
    }
    return values;
}

std::string bit_difference(std::span<const float> ours, std::span<const float> theirs) {
    if (ours.size() != theirs.size()) {
        return fmt::format("{} numbers against {}", ours.size(), theirs.size());
    }
    size_t first = ours.size();
    size_t count = 0;
    float largest = 0.0F;
    for (size_t i = 0; i < ours.size(); ++i) {
        if (std::bit_cast<uint32_t>(ours[i]) != std::bit_cast<uint32_t>(theirs[i])) {
            first = std::min(first, i);
            ++count;
            largest = std::max(largest, std::abs(ours[i] - theirs[i]));
        }
    }
    if (count == 0) {
        return {};
    }
    return fmt::format("{} of {} numbers differ, first number {} ({} against {}), by {} at most", count,
                       ours.size(), first, ours[first], theirs[first], largest);
}

double relative_error(std::span<const float> ours, std::span<const float> theirs) {
    PIE_CHECK(ours.size() == theirs.size(), "two vectors of one length");
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
        const double d = static_cast<double>(ours[i]) - static_cast<double>(theirs[i]);
        difference += d * d;
        norm += static_cast<double>(theirs[i]) * static_cast<double>(theirs[i]);
    }
    return std::sqrt(difference / norm);
}

} // namespace pie::testing
