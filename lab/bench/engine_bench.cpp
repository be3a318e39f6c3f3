#include "bench/engine_bench.h"

#include "base/elapsed.h"
#include "bench/plain_batch.h"

#include <fmt/format.h>
#include <llama-cpp.h>

#include <chrono>
#include <random>
#include <regex>
#include <string>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<TokenId> random_tokens(int32_t n, int32_t n_vocab) {
    std::mt19937 random(1);
    std::uniform_int_distribution<int32_t> any(0, n_vocab - 1);
    std::vector<TokenId> tokens;
    tokens.reserve(static_cast<size_t>(n));
    for (int32_t i = 0; i < n; ++i) {
        tokens.emplace_back(any(random));
    }
    return tokens;
}

// What libllama's log says while a context is made: it has no call that tells.
size_t logged_bytes(const std::string& log) {
    static const std::regex buffer(R"((?:KV|compute) buffer size\s*=\s*([0-9.]+) MiB)");
    double mebibytes = 0;
    for (std::sregex_iterator found(log.begin(), log.end(), buffer); found != std::sregex_iterator();
         ++found) {
        mebibytes += std::stod((*found)[1]);
    }
    return static_cast<size_t>(mebibytes * 1024 * 1024);
}

} // namespace

EngineBench::EngineBench(std::unique_ptr<LoadedModel> model, std::unique_ptr<KvCache> cache,
                         std::unique_ptr<Engine> engine)
    : model_(std::move(model)), cache_(std::move(cache)), engine_(std::move(engine)),
      sequence_(*engine_, *cache_),
      tokens_(random_tokens(cache_->cells().n_cells(), model_->vocabulary().size())) {}

Result<std::unique_ptr<EngineBench>> EngineBench::create(const std::filesystem::path& model,
                                                         int32_t n_threads, int32_t depth_max) {
    PIE_ASSIGN(auto loaded, LoadedModel::load(model));
    PIE_ASSIGN(auto cache, KvCache::create(*loaded, {.n_cells = depth_max + n_prefill + n_decode}));
    PIE_ASSIGN(auto engine, Engine::create(*loaded, {.n_threads = n_threads}));
    PIE_TRY(engine->reserve(*cache));
    return std::unique_ptr<EngineBench>(
        new EngineBench(std::move(loaded), std::move(cache), std::move(engine)));
}

Result<Throughput> EngineBench::throughput(int32_t depth) {
    const ReuseOptions plain{.method = ReuseMethod::pie, .seam = 0};
    sequence_.clear();
    if (depth > 0) {
        PIE_TRY(sequence_.update(tokens(depth), plain));
    }
    double prefill_ms = 0;
    double decode_ms = 0;
    for (int32_t repetition = -1; repetition < n_repetitions; ++repetition) {
        auto start = Clock::now();
        PIE_TRY(sequence_.update(tokens(depth + n_prefill), plain));
        const double prefilled_ms = milliseconds_since(start);
        sequence_.rewind(depth, {});
        start = Clock::now();
        for (int32_t i = 0; i < n_decode; ++i) {
            PIE_TRY(sequence_.extend(tokens(n_decode).subspan(static_cast<size_t>(i), 1)));
        }
        const double decoded_ms = milliseconds_since(start);
        sequence_.rewind(depth, {});
        if (repetition >= 0) { // the first is the warm-up; llama-bench has one as well
            prefill_ms += prefilled_ms;
            decode_ms += decoded_ms;
        }
    }
    return Throughput{.prefill_tokens_per_s = 1000.0 * n_prefill * n_repetitions / prefill_ms,
                      .decode_tokens_per_s = 1000.0 * n_decode * n_repetitions / decode_ms};
}

Result<EditTiming> EngineBench::edit(int32_t depth, int32_t n_inserted, int32_t repetitions) {
    const ReuseOptions undo{.method = ReuseMethod::pie, .seam = 0};
    const std::span<const TokenId> base = tokens(depth);
    std::vector<TokenId> edited(base.begin(), base.end());
    const std::vector<TokenId> inserted = random_tokens(n_inserted, model_->vocabulary().size());
    edited.insert(edited.begin() + depth / 4, inserted.begin(), inserted.end());

    EditTiming timing{.tokens_inserted = n_inserted, .edit_ms = {}, .batch_ms = {}};
    PIE_TRY(sequence_.update(base, undo));
    for (int32_t i = 0; i < repetitions; ++i) {
        cache_->cells().forget_dropped(); // or the second edit would find what the first one encoded
        PIE_ASSIGN(const UpdateReport report, sequence_.update(edited, {}));
        timing.tokens_encoded = report.tokens_encoded;
        timing.rows_rotated = report.tokens_moved;
        timing.edit_ms.push_back(report.milliseconds);
        PIE_TRY(sequence_.update(base, undo));
        PIE_ASSIGN(const double batch,
                   plain_batch_milliseconds(*engine_, *cache_, tokens(timing.tokens_encoded)));
        timing.batch_ms.push_back(batch);
    }
    return timing;
}

Result<ModelMemory> EngineBench::memory() const {
    std::string log;
    ggml_log_callback callback = nullptr;
    void* callback_data = nullptr;
    llama_log_get(&callback, &callback_data);
    llama_log_set(
        [](ggml_log_level, const char* text, void* data) { *static_cast<std::string*>(data) += text; }, &log);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(cache_->cells().n_cells());
    params.n_threads = params.n_threads_batch = engine_->n_threads();
    const llama_context_ptr context(llama_init_from_model(model_->get(), params));
    llama_log_set(callback, callback_data);
    if (context == nullptr) {
        return fail(ErrorCode::internal, "libllama could not make a context to compare memory with");
    }
    return ModelMemory{.ours_bytes = cache_->bytes_max() + engine_->compute_bytes(),
                       .libllama_bytes = logged_bytes(log)};
}

} // namespace pie
