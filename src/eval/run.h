#pragma once

// Measures methods on rows. For each row the prompt before the edit is encoded once and the cache's state
// saved; then each method finds that state, turns it into the prompt after the edit, and is compared with
// full recompute over the target, token by token, each token behind the true ones before it (teacher-forced).
//
// Thread rule: the model thread alone.

#include "base/progress.h"
#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "eval/methods.h"
#include "eval/results.h"
#include "eval/rows.h"
#include "session/live_sequence.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pie {

struct RunOptions {
    std::string model;               // its name in the results
    int32_t n_scored_max = 64;       // tokens of a target
    int32_t n_completion_tokens = 0; // decoded behind the prompt before the edit, and observed
};

class RowRunner {
  public:
    // The cache takes prompts, with what is scored or completed behind them, up to its size. Errors: those of
    // KvCache::create and Engine::reserve.
    static Result<std::unique_ptr<RowRunner>> create(Engine& engine, const KvCacheOptions& cache,
                                                     const RunOptions& options);

    using Receiver = std::function<Result<void>(Measurement)>;

    // Hands over one measurement a method, as each is made. A method, or row, that fails is one with the
    // reason as its failure. Errors: cancelled, and those of `receive`.
    Result<void> run(const EvalRow& row, std::span<const Method> methods, const Receiver& receive);

    const std::string& model() const { return options_.model; }

  private:
    // The sequence as the methods find it. Rows of the cache behind its extent hold nothing.
    struct SavedState {
        KvCells cells;
        std::vector<std::vector<std::byte>> rows; // [2 * n_layer], keys and values in turn
        std::vector<float> logits;
    };
    // Logits ahead of each scored token, [n_scored][n_vocab], and what the update behind them reported.
    struct Scored {
        UpdateReport update;
        std::vector<float> logits;
        size_t n_vocab = 0;

        std::span<const float> at(size_t i) const { return std::span(logits).subspan(i * n_vocab, n_vocab); }
    };
    // What the measurements of one row have in common.
    struct RowWork {
        EncodedRow encoded;
        SavedState saved;
        Scored full;
        std::optional<FullState> full_state;
    };

    RowRunner(Engine& engine, std::unique_ptr<KvCache> cache, const RunOptions& options);

    Result<void> check_room(const EncodedRow& row) const;
    Result<RowWork> prepare(const EvalRow& row, std::span<const Method> methods);
    // What a completion of the sequence looks at is recorded; the sequence stays what it is.
    Result<void> observe_completion();
    Result<Scored> apply(const Method& method, const RowWork& work);
    Result<Scored> score(const UpdateReport& update, std::span<const TokenId> target);
    Result<Measurement> measure(const Method& method, const RowWork& work, Measurement measurement);
    SavedState save() const;
    void restore(const SavedState& state);
    std::vector<ggml_tensor*> tensors() const;

    Engine& engine_;
    std::unique_ptr<KvCache> cache_;
    LiveSequence sequence_;
    RunOptions options_;
};

// The measurements of all rows and methods that `results` lacks, made and added one by one. Polls
// interrupted(). Errors: cancelled, io.
Result<void> run_rows(std::span<const EvalRow> rows, std::span<const Method> methods, RowRunner& runner,
                      Results& results, Progress& progress);

// The row and method under the model's name, without figures.
Measurement blank_measurement(const EvalRow& row, const Method& method, const std::string& model);

// How many rows have a measurement left to make.
size_t rows_left(std::span<const EvalRow> rows, std::span<const Method> methods, const std::string& model,
                 const Results& results);

} // namespace pie
