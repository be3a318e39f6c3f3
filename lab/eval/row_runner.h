#pragma once

// Measures methods on rows. For each row the prompt before the edit is encoded once and the cache's state
// saved; then each method finds that state, turns it into the prompt after the edit, and is compared with
// full recompute over the target, token by token, each token behind the true ones before it (teacher-forced),
// and by what it completes.
//
// Work is shared. Rows in a row with the same edited prompt have one full recompute, from whose beginning the
// prompt before the edit is encoded, too. Where a method agrees with each token that full recompute wrote, it
// has written the same, and nothing is decoded again.
//
// Thread rule: the model thread alone.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "eval/flops.h"
#include "eval/judge.h"
#include "eval/methods.h"
#include "eval/results.h"
#include "eval/rows.h"
#include "eval/saved_state.h"
#include "session/live_sequence.h"

#include <pie/completion.h>
#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Of an interrupted run.
constexpr std::string_view kept_notice = "what was measured so far is kept";

// Runs a program that a model wrote: whether it ended well.
using ProgramRunner = std::function<Result<bool>(const std::string& program)>;

struct RunOptions {
    std::string model;               // its name in the results
    int32_t n_scored_max = 64;       // tokens of a target
    int32_t n_completion_tokens = 0; // decoded behind the prompt before the edit, and observed
    int32_t n_line_tokens = 64;      // most tokens of a predicted line
    int32_t n_program_tokens = 320;  // most tokens of a completion that is tested
    ProgramRunner run_program = {};  // rows with tests fail without it
};

class RowRunner {
  public:
    // The cache takes prompts, with what is scored or completed behind them, up to its size. Errors: those of
    // KvCache::create and Engine::reserve.
    static Result<std::unique_ptr<RowRunner>> create(Engine& engine, const KvCacheOptions& cache,
                                                     const RunOptions& options);

    using Receiver = std::function<Result<void>(Measurement)>;

    // Hands over one measurement a method, as each is made. A method, or row, that fails is one with the
    // reason as its failure. `other` is a row with another edited prompt, for methods that need one; null
    // where there is none. Errors: cancelled, and those of `receive`.
    Result<void> run(const EvalRow& row, const EvalRow* other, std::span<const Method> methods,
                     const Receiver& receive);

    const std::string& model() const { return options_.model; }

  private:
    // What a method did and said.
    struct Outcome {
        UpdateReport update; // tokens encoded and time of all edits together
        int32_t n_updates = 1;
        LayerCosines cosines; // empty where the cache holds another text
        Scored scored;
        Completion completion;
    };
    // Full recompute of an edited prompt, which rows may have in common.
    struct Reference {
        std::vector<TokenId> after;
        std::vector<TokenId> target;
        std::string test;
        SavedState saved;
        FullState state;
        // Of full recompute, by its name, and of what else depends on the edited prompt alone.
        std::map<std::string, Outcome> outcomes;

        const Outcome& full() const { return outcomes.at(full_recompute().name); }
    };
    // What the measurements of one row have in common.
    struct RowWork {
        const EvalRow& row;
        EncodedRow encoded;
        std::vector<TokenId> other;
        SavedState saved;
    };

    RowRunner(Engine& engine, std::unique_ptr<KvCache> cache, const RunOptions& options);

    Result<void> check_room(const EncodedRow& row) const;
    Result<RowWork> prepare(const EvalRow& row, const EvalRow* other);
    // Makes the reference that the row needs, unless it is there.
    Result<void> refer_to(const EvalRow& row, const EncodedRow& encoded);
    Result<void> encode_before(std::span<const TokenId> before);
    Result<Outcome> apply(const Method& method, const RowWork& work);
    Result<void> update(const Method& method, const RowWork& work, Outcome& outcome);
    // The sequence stays what it is.
    Result<Scored> score(std::span<const TokenId> target);
    Result<Completion> write(const EvalRow& row);
    Result<bool> would_write(const Completion& completion);
    // Of a method that a row with the same edited prompt was measured with; null if there is none.
    const Outcome* find_shared(const Method& method) const;
    Result<Measurement> measure(const Method& method, const RowWork& work, Measurement measurement);

    Engine& engine_;
    std::unique_ptr<KvCache> cache_;
    LiveSequence sequence_;
    RunOptions options_;
    FlopFormula flops_;
    std::optional<Reference> reference_;
};

// The row and method under the model's name, without figures.
Measurement blank_measurement(const EvalRow& row, const Method& method, const std::string& model);

} // namespace pie
