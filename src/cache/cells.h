#pragma once

// The bookkeeping of an editable KV cache, without its tensors: which token sits in which cell, at which
// position, and which position the cell's stored key was rotated for. Moving a token is a change of numbers
// here; its key is rotated later, once, just before a batch reads it.
//
// It also knows which part of the sequence is exact, that is, what a full recompute would hold. A cell that
// was encoded behind an exact prefix remembers a hash of all tokens up to its own; the sequence is exact as
// far as the hashes agree with its tokens. So an edit that is undone makes what stands behind it exact again,
// but for the rounding of keys that it moved there and back. Exact cells are identical to those of a full
// recompute where nothing was rounded otherwise.
//
// A cell that is dropped goes on holding what it held until it is handed out again: the lowest cells that
// hold nothing are first, then those dropped longest ago; but where many of a short sequence were dropped,
// these go before cells that were never handed out, whose rows would take more memory. Where the prefix of a
// wanted token has the hash of such a cell, the cell can be recalled instead of encoding the token, and is
// exact. So what is undone, gone back to or typed as completed costs nothing while there is room. (vLLM finds
// the free blocks of its cache by such hashes; only those serve that continue a cached prefix.) A block that
// was cut and is pasted elsewhere comes back too, as stale as if it had moved.
//
// Between operations the sequence is dense: token i has position i. An edit is begin(), place() for each
// batch, and commit(), cut() or rollback(); while it runs, positions not yet encoded have no cell.
//
// Thread rule: the model thread alone.

#include "cache/plan.h"

#include <pie/types.h>

#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pie {

// Cells whose keys must turn by `delta` positions before they are read.
struct PendingRotation {
    int32_t delta = 0;
    std::vector<CellIndex> cells; // ascending
};

// Whether what a cell holds was rounded as a full recompute rounds it: not where it was encoded in a batch
// too small for that, or behind cells that were not, or whose keys had been turned.
enum class Rounding : uint32_t { as_full, otherwise };

// Whether dropped cells can be recalled. They scatter the sequence over all cells, which costs time where
// attention reads every row up to extent().
enum class Dropped { lost, kept };

// A token of the sequence, and what is known of its cell: all that a snapshot must hold of it.
struct CachedToken {
    TokenId token;
    CellIndex cell;
    Position key_position; // that the stored key is rotated for
    float attention = 0;
    uint64_t context = 0;  // the hash of the tokens up to this one; 0 if it is not known to be exact
    uint64_t read = 0;     // the hash of those that it was encoded behind, with it; 0 if that is not known
    int32_t key_turns = 0; // of the stored key since it was encoded
    Rounding rounding = Rounding::as_full;

    bool operator==(const CachedToken&) const = default;
};

// Blocks of wanted tokens in cells that were dropped.
struct DroppedBlocks {
    std::vector<KeptRun> runs;    // ascending `to`; `from` counts on behind the sequence
    std::vector<CellIndex> cells; // of the runs, with a -1 before each: none continues what is before it
};

class KvCells {
  public:
    // A key is worn when it was turned more than `turns_max` times: types with few bits round it each time.
    explicit KvCells(int32_t n_cells, int32_t turns_max = std::numeric_limits<int32_t>::max(),
                     Dropped dropped = Dropped::lost);

    int32_t n_cells() const { return static_cast<int32_t>(cells_.size()); }
    // Cells that place() can hand out; inside an edit, cells of tokens it drops do not count until commit().
    int32_t n_free() const { return static_cast<int32_t>(free_.size()); }
    // How many cells were handed out since there were none, each once: so many rows were written to.
    int32_t n_touched() const { return n_touched_; }
    // Without a sequence and without dropped cells: as if none had been.
    void forget_touched();
    // One past the highest cell in use: attention reads the rows before it.
    int32_t extent() const;

    // The sequence; outside of an edit every token has its cell.
    std::span<const TokenId> tokens() const { return tokens_; }
    int32_t n_tokens() const { return static_cast<int32_t>(tokens_.size()); }
    CellIndex cell_at(Position position) const { return order_[static_cast<size_t>(position.value)]; }

    // Tokens at the start of the sequence whose cells hold what a full recompute would, but for the rounding
    // of rotated keys.
    int32_t n_exact() const { return n_exact_; }
    // Tokens at the start whose cells hold the same as a full recompute's to the bit, as far as the engine is
    // batch-invariant.
    int32_t n_identical() const { return n_identical_; }
    // Whether a cell that is exact is identical too.
    bool is_identical(Position position) const;
    // A worn key's token is not exact, whatever stands before it.
    bool is_worn(Position position) const { return at(cell_at(position)).key_turns > turns_max_; }
    // How much the last completions looked at each token, by position: it goes where the token goes.
    std::span<float> attention() { return attention_; }
    std::span<const float> attention() const { return attention_; }

    // Position of the token in a cell, or -1 where attention must not look.
    Position position_of(CellIndex cell) const { return at(cell).position; }

    // The dropped cells that hold exactly what is wanted at those of the first `n` positions that `plan`
    // encodes, or where what it keeps is stale. Ascending positions.
    std::vector<RecalledCell> recallable(const EditPlan& plan, std::span<const TokenId> wanted,
                                         int32_t n) const;
    // Blocks of `length_min` wanted tokens and more between `runs` (ascending `to`), in dropped cells that
    // stood behind each other; but no tokens that recallable() finds, and none of its cells.
    DroppedBlocks dropped_blocks(std::span<const TokenId> wanted, std::span<const KeptRun> runs,
                                 int32_t length_min) const;
    // Positions at which `plan` keeps cells that do not hold exactly what is wanted there; ascending.
    std::vector<Position> stale_in(const EditPlan& plan, std::span<const TokenId> wanted) const;
    // Those of them that were encoded behind other tokens than will stand before them: what else is stale
    // was encoded behind the right tokens, of which some were stale.
    std::vector<Position> outdated_in(const EditPlan& plan, std::span<const TokenId> wanted) const;

    // Starts turning the sequence into `wanted`: kept runs move to their new positions, recalled cells come
    // back, other tokens are hidden. Whatever `plan` encodes must be placed before commit(). Room for it must
    // be there: see can_begin().
    void begin(const EditPlan& plan, std::span<const TokenId> wanted);
    bool can_begin(const EditPlan& plan) const;

    // Gives cells to positions that the plan encodes; from here on attention sees them.
    std::vector<CellIndex> place(std::span<const Position> positions, Rounding rounding = Rounding::as_full);

    // The edit is done; cells of dropped tokens are free.
    void commit();

    // Gives the edit up. Where the dropped tokens' cells were still untouched the sequence is what it was
    // before begin(); else it is what cut() leaves.
    void rollback();

    // Ends the edit with what is kept, recalled and placed so far, closed up. What the last place() gave
    // cells to is not part of it: its encoding may have failed half-way. What was to be encoded again, and is
    // not, keeps its old cells where they are untouched: returns the positions of these tokens, ascending.
    std::vector<Position> cut();
    // Inside of an edit, how many positions got cells before the last place().
    int32_t n_placed() const { return saved_.n_placed; }

    // One more token at the end, outside of an edit; its cell is the one to encode into. Needs a free cell.
    CellIndex append(TokenId token, Rounding rounding = Rounding::as_full);
    // Tokens at the end, outside of an edit, with what another cache's cells tell of them: whose rows are to
    // be copied to the cells that this returns. Needs free cells.
    std::vector<CellIndex> adopt(std::span<const CachedToken> cached);
    // Drops the tokens from `n_tokens` on; `lost` where their cells do not hold them, or not behind the
    // tokens before them.
    void truncate(int32_t n_tokens, Dropped dropped = Dropped::kept);
    // Dropped cells are not recalled any more.
    void forget_dropped();

    // Keys that are not where their tokens are, one entry for each distinct distance.
    std::vector<PendingRotation> pending_rotations() const;
    // Declares every key to be rotated for its token's position, since the rotations were made.
    void settle_keys();
    // Declares the same inside of an edit though they were not (the paper's Conflict Fast Encoding);
    // rollback() takes it back.
    void leave_keys();

    // The sequence, outside of an edit.
    std::vector<CachedToken> cached_tokens() const;
    // What cached_tokens() told, into cells without a sequence and without dropped cells to recall. Each
    // token has a cell of its own.
    void restore(std::span<const CachedToken> cached);

    // Ends the program where the invariants above do not hold.
    void check_invariant() const;

  private:
    class BlockSearch;
    enum class Encoded { now, before };

    static constexpr CellIndex no_cell{-1};
    static constexpr Position hidden{-1};
    // Contexts of cells: of one that may be anything, of one that the running edit encoded, of the empty
    // text.
    static constexpr uint64_t unknown = 0;
    static constexpr uint64_t fresh = 1;
    static constexpr uint64_t nothing_before = 2;

    struct Cell {
        TokenId token;
        Position position{-1};
        Position key_position{-1};
        int32_t key_turns = 0;
        Rounding rounding = Rounding::as_full;
        uint64_t context = 0; // the hash of the tokens up to this one; 0 if it is not known to be exact
        uint64_t read = 0;    // the hash of those that it was encoded behind, with it; 0 if that is not known
        uint64_t dropped = 0; // when; 0 in use, or where there is nothing to recall
    };
    // The sequence as begin() found it.
    struct Saved {
        std::vector<TokenId> tokens;
        std::vector<CellIndex> order;
        std::vector<float> attention;
        std::vector<Cell> cells;           // by position; empty unless leave_keys() was called
        std::vector<KeptRun> again;        // of the plan
        bool intact = true;                // no cell of it was given away
        std::vector<Position> last_placed; // positions of the new sequence
        int32_t n_placed = 0;              // before those
    };

    Cell& at(CellIndex cell) { return cells_[static_cast<size_t>(cell.value)]; }
    const Cell& at(CellIndex cell) const { return cells_[static_cast<size_t>(cell.value)]; }
    void count_exact(Encoded encoded);
    CellIndex next_free_cell() const;
    CellIndex take_free_cell();
    void recall(CellIndex cell);
    CellIndex dropped_with(uint64_t context) const;
    void add(const CachedToken& token, CellIndex cell);
    void release(CellIndex cell, Dropped dropped);
    void forget(CellIndex cell);
    void forget_dropped(CellIndex cell);
    void assign(Position position, CellIndex cell);
    void release_last_placed();
    std::vector<Position> return_old_cells();
    std::vector<Position> close_up(std::span<const Position> traced);
    void trace_exactness();
    static uint64_t extended(uint64_t context, TokenId token);
    static std::vector<uint64_t> contexts(std::span<const TokenId> tokens);
    std::vector<Position> stale_in(const EditPlan& plan, std::span<const uint64_t> exact) const;
    std::vector<Position> kept_where(const EditPlan& plan, std::span<const uint64_t> exact,
                                     bool (*is_wanted)(const Cell& cell, uint64_t exact)) const;
    std::vector<CellIndex> dropped_cells() const;
    void drop_replaced();

    std::vector<Cell> cells_;
    int32_t turns_max_;
    Dropped dropped_;
    std::set<std::pair<uint64_t, int32_t>> free_; // when it was dropped, and the cell
    std::unordered_map<uint64_t, CellIndex> dropped_by_context_;
    uint64_t n_dropped_ = 0; // so far
    int32_t n_touched_ = 0;
    std::vector<TokenId> tokens_;
    std::vector<CellIndex> order_; // by position; -1 where an edit has not placed it yet
    std::vector<float> attention_; // by position
    int32_t n_exact_ = 0;
    int32_t n_identical_ = 0;
    bool editing_ = false;
    Saved saved_;
};

} // namespace pie
