#pragma once

// One token sequence held in a KV cache and kept right while it changes: the heart of the engine. update()
// takes the sequence wanted and spends a batch on what is new; extend() appends tokens and gives their
// logits.
//
// Owned by a LiveDocument. Thread rule: the model thread alone.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "session/piece_size.h"
#include "session/repair.h"

#include <pie/completion.h>
#include <pie/result.h>
#include <pie/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace pie {

// How an update reuses what is cached; the first four are the paper's (arXiv 2407.03157, section 4).
enum class ReuseMethod {
    full,     // nothing: the whole sequence is encoded again
    cfe,      // Conflict Fast Encoding: kept keys stay rotated for where they were
    reuse,    // the edit is ignored: the completion continues the sequence before it
    pie,      // kept keys are rotated; only new tokens and the last one are encoded
    pie_seam, // and a seam behind each edit is encoded again, but for what dropped cells still hold
};

struct ReuseOptions {
    ReuseMethod method = ReuseMethod::pie_seam;
    int32_t seam = 8; // tokens, for pie_seam; fewer where `milliseconds` is too little for it
    // Kept tokens behind an edit, for pie_seam, that `policy` may choose to encode again. What is only
    // appended needs none.
    int32_t repair = 12;
    // Where above 0: seams are shortened to two tokens at the least, and only as many are repaired, as the
    // batch is expected to leave time for.
    double milliseconds = 0;
    RepairPolicy policy = repair_by_attention;
    // Where above 0: what is encoded at a time is expected to take no longer, so that an update that is
    // cancelled loses little of what it did; and where the update may well be cancelled at `until`, it is
    // expected to be done by then.
    double piece_milliseconds = 0;
    int32_t piece_tokens =
        0; // at a time at least, however slow the model is, unless updates are being cancelled
    std::optional<std::chrono::steady_clock::time_point> until = {};
};

// Whether attention is recorded for repairs to come; it costs a product of keys and query in some layers.
enum class Observe { no, yes };

struct BranchToken {
    int32_t branch = 0;
    TokenId token;
};

// Hears how many of the tokens to encode are done.
using UpdateProgress = std::function<void(int32_t done, int32_t total)>;

class LiveSequence;
using Donors = std::function<std::vector<LiveSequence*>()>;

class LiveSequence {
  public:
    // Both outlive this. The cache's sequence belongs to it from now on.
    LiveSequence(Engine& engine, KvCache& cache);

    // Turns the cached sequence into `wanted` (not empty) and computes the logits of its last token; where
    // they are the same, nothing is done. `ahead` is a token that may well be the next: where anything is
    // encoded it is too, in the same batch, and if the next call is extend() by this token alone, that one
    // costs nothing. Errors:
    // too_large (more tokens than cells), cancelled, internal; the cache is then as KvCells::rollback()
    // leaves it. But what `pie` and `pie_seam` encoded in whole batches stays, in the sequence that
    // KvCells::cut() makes of it: so the next update goes on from there, also where it wants another
    // sequence, and cancelled again and again it ends.
    Result<UpdateReport> update(std::span<const TokenId> wanted, const ReuseOptions& options,
                                const UpdateProgress& progress = {}, std::optional<TokenId> ahead = {});

    // Appends tokens; logits [tokens.size()][n_vocab], valid until the next call. Errors: as above.
    Result<std::span<const float>> extend(std::span<const TokenId> tokens, Observe observe = Observe::no);

    // The next token of each of several continuations, told apart by numbers, which do not see each other:
    // they stand beside each other behind the sequence that there was at the first call, until rewind() drops
    // them all. Logits [tokens.size()][n_vocab], valid until the next call. Errors: as above.
    Result<std::span<const float>> extend_branches(std::span<const BranchToken> tokens,
                                                   Observe observe = Observe::no);

    // Whether `wanted` goes on where the sequence ends.
    bool is_start_of(std::span<const TokenId> wanted) const;

    // Drops the tokens from `n_tokens` on; `logits` are those of the token before.
    void rewind(int32_t n_tokens, std::vector<float> logits);

    // Forgets everything.
    void clear();

    // Encodes the first at most `n_tokens` of the tokens that are stale again, with exact ones before them
    // that were rounded otherwise than a full recompute's if these are few, or where all are exact, of the
    // latter; and swaps them in when all are there. Called until it returns 0 it leaves what a full recompute
    // would, to the bit where the engine is batch-invariant. Returns how many it encoded. Errors: cancelled,
    // internal; nothing has changed then.
    Result<int32_t> heal(int32_t n_tokens);

    // Of the tokens that were encoded behind other ones than stand before them, the `n_tokens` that the last
    // completions looked at most; ascending.
    std::vector<Position> worth_repairing(int32_t n_tokens) const;

    // Encodes those of `positions` again for which that still holds, as far as there are free cells. Behind
    // stale tokens they are not exact afterwards, but closer. One choice that is repaired from its beginning
    // on, in however many calls, is what it would be in one. Returns how many it encoded. Errors: as heal().
    Result<int32_t> repair(std::span<const Position> positions);

    // Names other sequences of the same engine and cache types. An update of an empty sequence copies what
    // one of them holds exactly of the same beginning, such as the files that go before every document's
    // text; and any update copies long parts of what is new here that one of them holds exactly in another
    // place. Behind other text those are stale, like what moves within a sequence.
    void set_donors(Donors donors) { donors_ = std::move(donors); }

    // The layers whose attention extend() records; by default every fourth.
    void observe_layers(LayerSet layers) { observed_ = layers; }

    // Makes what was observed so far count less than what will be.
    void fade_attention();

    // Logits of the last token encoded, [n_vocab]; empty before the first update.
    std::span<const float> logits() const { return logits_; }

    // How often the cached sequence, or how exactly it is held, has changed.
    int64_t changes() const { return changes_; }

    std::span<const TokenId> tokens() const { return cache_.cells().tokens(); }
    // Tokens at the start that hold what a full recompute would, up to the rounding of rotated keys.
    int32_t n_exact() const { return cache_.cells().n_exact(); }
    // Of these, those that hold the same to the bit; 0 where the engine cannot hold a sequence so (with this
    // type of weights or cache, with experts, on other devices).
    int32_t n_bit_exact() const { return engine_.rounds_alike(cache_) ? cache_.cells().n_identical() : 0; }
    // Whether there is nothing left to heal.
    bool is_healed() const { return cache_.cells().n_identical() == n_tokens(); }
    int32_t n_tokens() const { return cache_.cells().n_tokens(); }
    int32_t n_tokens_max() const { return cache_.cells().n_cells(); }
    Engine& engine() const { return engine_; }

  private:
    // A token behind the sequence, encoded into a cell that is free but not written to since.
    struct Ahead {
        TokenId token;
        CellIndex cell;
        Rounding rounding;
        std::vector<float> logits;
    };

    // What another sequence holds of tokens that are new here, in blocks from its positions to those wanted.
    struct Loan {
        const LiveSequence* donor = nullptr;
        std::vector<KeptRun> blocks; // ascending `to`
        int32_t n_tokens = 0;
    };

    // How a plan is carried out.
    struct Job {
        std::span<const TokenId> wanted;
        ReuseMethod method = ReuseMethod::pie_seam;
        int32_t n_outputs = 1;         // the last so many tokens, whose logits are wanted
        bool keeps_pieces = false;     // of it, when it is cut short
        double piece_milliseconds = 0; // 0: as many tokens at a time as the engine takes
        int32_t piece_tokens = 0;
        std::optional<std::chrono::steady_clock::time_point> until = {};
    };

    static Job job_of(const ReuseOptions& options, std::span<const TokenId> wanted, int32_t n_outputs = 1);
    void adopt(std::span<const TokenId> wanted);
    void copy(const LiveSequence& donor, std::span<const CachedToken> lent);
    Loan find_loan(std::span<const TokenId> wanted) const;
    void take(const Loan& loan, std::span<const TokenId> wanted);
    Result<int32_t> borrow(std::span<const TokenId> wanted, const ReuseOptions& options);
    void drop_borrowed();
    EditPlan plan(std::span<const TokenId> wanted, const ReuseOptions& options, int32_t n_outputs = 1) const;
    Result<void> run(const EditPlan& plan, const Job& job, const UpdateProgress& progress = {});
    void give_up(const Job& job);
    Result<void> encode(std::span<const Position> positions, const Job& job, const UpdateProgress& progress);
    Result<void> encode_piece(std::span<const Position> piece, const Job& job, std::vector<float>& rows);
    size_t next_piece(size_t n_left, const Job& job) const;
    Products products_for(size_t n_tokens) const;
    void keep_ahead();
    std::span<const float> take_ahead();
    EditPlan keeping_all() const;
    Result<int32_t> encode_again(std::span<const Position> positions, ReuseMethod method);
    // The batch gets cells, and logits of each token.
    Result<std::span<const float>> append(Batch batch, Observe observe);
    void record_attention();

    Engine& engine_;
    KvCache& cache_;
    LayerSet observed_;
    Donors donors_;
    std::vector<float> logits_;
    std::optional<Ahead> ahead_;
    PieceSize piece_size_;
    // Stale tokens that an update was to encode again when it was cut short: the next one does. Ascending.
    std::vector<Position> due_;
    int32_t n_borrowed_ = 0;         // of the last tokens: those that wait for the next edit to place them
    std::vector<int32_t> branch_of_; // of the last tokens, while there are branches
    int64_t changes_ = 0;
};

} // namespace pie
