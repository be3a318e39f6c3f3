#include "cache/cells.h"

#include "base/check.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pie {

KvCells::KvCells(int32_t n_cells, int32_t turns_max, Dropped dropped)
    : cells_(static_cast<size_t>(n_cells)), turns_max_(turns_max), dropped_(dropped) {
    for (int32_t i = 0; i < n_cells; ++i) {
        free_.emplace_hint(free_.end(), 0, i);
    }
}

int32_t KvCells::extent() const {
    int32_t extent = 0;
    for (const CellIndex cell : order_) {
        extent = std::max(extent, cell.value + 1);
    }
    return extent;
}

void KvCells::assign(Position position, CellIndex cell) {
    order_[static_cast<size_t>(position.value)] = cell;
    at(cell).position = position;
}

bool KvCells::can_begin(const EditPlan& plan) const {
    return std::ssize(plan.encode) + std::ssize(plan.recall) <= n_cells() - plan.tokens_kept;
}

void KvCells::begin(const EditPlan& plan, std::span<const TokenId> wanted) {
    PIE_CHECK(!editing_, "one edit at a time");
    PIE_CHECK(can_begin(plan), "the caller checks that there is room");
    editing_ = true;
    std::vector<float> attention = carry_over(plan, attention_, wanted.size());
    saved_ = {.tokens = std::move(tokens_),
              .order = std::move(order_),
              .attention = std::exchange(attention_, std::move(attention)),
              .cells = {},
              .again = plan.again,
              .last_placed = {}};
    for (const CellIndex cell : saved_.order) {
        at(cell).position = hidden;
    }
    tokens_.assign(wanted.begin(), wanted.end());
    order_.assign(wanted.size(), no_cell);
    for (const KeptRun& run : plan.keep) {
        for (int32_t i = 0; i < run.length; ++i) {
            assign(Position(run.to + i), saved_.order[static_cast<size_t>(run.from + i)]);
        }
    }
    for (const RecalledCell& recalled : plan.recall) {
        recall(recalled.cell);
        assign(recalled.position, recalled.cell);
    }
    if (plan.encode.size() > free_.size()) {
        // No room to keep what the edit drops until it is done: the old sequence cannot come back.
        for (const CellIndex cell : dropped_cells()) {
            release(cell, Dropped::kept);
        }
        saved_.intact = false;
    }
}

std::vector<CellIndex> KvCells::place(std::span<const Position> positions, Rounding rounding) {
    PIE_CHECK(editing_, "place() belongs into an edit");
    std::vector<CellIndex> placed;
    placed.reserve(positions.size());
    for (const Position position : positions) {
        PIE_CHECK(cell_at(position) == no_cell, "a position is placed once");
        const CellIndex cell = take_free_cell();
        assign(position, cell);
        at(cell).token = tokens_[static_cast<size_t>(position.value)];
        at(cell).key_position = position;
        at(cell).context = fresh;
        at(cell).rounding = rounding;
        placed.push_back(cell);
    }
    saved_.n_placed += static_cast<int32_t>(saved_.last_placed.size());
    saved_.last_placed.assign(positions.begin(), positions.end());
    return placed;
}

// What comes first in the sequence is last here: dropped last, it is recalled the longest, and what stands
// behind it is worth little without it.
std::vector<CellIndex> KvCells::dropped_cells() const {
    std::vector<CellIndex> dropped;
    std::copy_if(saved_.order.rbegin(), saved_.order.rend(), std::back_inserter(dropped),
                 [this](CellIndex cell) { return position_of(cell) == hidden; });
    return dropped;
}

void KvCells::commit() {
    PIE_CHECK(editing_, "commit() belongs into an edit");
    PIE_CHECK(std::ranges::find(order_, no_cell) == order_.end(), "every position has its cell");
    editing_ = false;
    trace_exactness();
    if (saved_.intact) {
        drop_replaced();
    }
    saved_ = {};
}

void KvCells::rollback() {
    PIE_CHECK(editing_, "rollback() belongs into an edit");
    if (!saved_.intact) {
        cut();
        return;
    }
    editing_ = false;
    std::vector<bool> was_there(cells_.size(), false);
    for (const CellIndex cell : saved_.order) {
        was_there[static_cast<size_t>(cell.value)] = true;
    }
    for (const CellIndex cell : order_) {
        if (cell != no_cell && !was_there[static_cast<size_t>(cell.value)]) {
            release(cell, Dropped::kept);
        }
    }
    tokens_ = std::move(saved_.tokens);
    order_ = std::move(saved_.order);
    attention_ = std::move(saved_.attention);
    for (int32_t i = 0; i < n_tokens(); ++i) {
        assign(Position(i), cell_at(Position(i)));
    }
    for (size_t i = 0; i < saved_.cells.size(); ++i) {
        const Cell& before = saved_.cells[i];
        at(order_[i]).key_position = before.key_position;
        at(order_[i]).context = before.context;
        at(order_[i]).read = before.read;
    }
    trace_exactness();
    saved_ = {};
}

std::vector<Position> KvCells::cut() {
    PIE_CHECK(editing_, "cut() belongs into an edit");
    editing_ = false;
    release_last_placed();
    std::vector<Position> not_again;
    if (saved_.intact) {
        not_again = return_old_cells();
    }
    not_again = close_up(not_again);
    trace_exactness();
    if (saved_.intact) {
        drop_replaced();
    }
    saved_ = {};
    return not_again;
}

void KvCells::release_last_placed() {
    for (const Position position : saved_.last_placed) {
        release(cell_at(position), Dropped::lost);
        order_[static_cast<size_t>(position.value)] = no_cell;
    }
}

// To what was to be encoded again and is not; ascending positions.
std::vector<Position> KvCells::return_old_cells() {
    std::vector<Position> positions;
    for (const KeptRun& run : saved_.again) {
        for (int32_t i = 0; i < run.length; ++i) {
            const Position position(run.to + i);
            if (cell_at(position) == no_cell) {
                assign(position, saved_.order[static_cast<size_t>(run.from + i)]);
                positions.push_back(position);
            }
        }
    }
    return positions;
}

// Returns where the tokens at the positions `traced` (ascending) are then.
std::vector<Position> KvCells::close_up(std::span<const Position> traced) {
    std::vector<Position> now_at;
    int32_t kept = 0;
    for (int32_t i = 0; i < std::ssize(order_); ++i) {
        const auto from = static_cast<size_t>(i);
        if (order_[from] == no_cell) {
            continue;
        }
        if (std::ranges::binary_search(traced, Position(i))) {
            now_at.emplace_back(kept);
        }
        tokens_[static_cast<size_t>(kept)] = tokens_[from];
        attention_[static_cast<size_t>(kept)] = attention_[from];
        assign(Position(kept), order_[from]);
        ++kept;
    }
    tokens_.resize(static_cast<size_t>(kept));
    order_.resize(static_cast<size_t>(kept));
    attention_.resize(static_cast<size_t>(kept));
    return now_at;
}

CellIndex KvCells::append(TokenId token, Rounding rounding) {
    PIE_CHECK(!editing_, "an edit ends before tokens are appended");
    const CellIndex cell = take_free_cell();
    const Position position(n_tokens());
    const bool is_exact = n_exact_ == n_tokens();
    if (is_exact) {
        at(cell).context = extended(order_.empty() ? nothing_before : at(order_.back()).context, token);
    }
    tokens_.push_back(token);
    order_.push_back(cell);
    attention_.push_back(0.0F);
    assign(position, cell);
    at(cell).token = token;
    at(cell).key_position = position;
    at(cell).rounding = rounding;
    if (is_exact) {
        count_exact(Encoded::now);
    }
    return cell;
}

void KvCells::truncate(int32_t n_tokens_kept, Dropped dropped) {
    PIE_CHECK(!editing_ && n_tokens_kept <= n_tokens(), "truncate() shortens, outside of an edit");
    while (n_tokens() > n_tokens_kept) {
        release(order_.back(), dropped);
        order_.pop_back();
        tokens_.pop_back();
        attention_.pop_back();
    }
    n_exact_ = std::min(n_exact_, n_tokens());
    n_identical_ = std::min(n_identical_, n_tokens());
}

void KvCells::check_invariant() const {
    PIE_CHECK(!editing_, "invariants hold between edits");
    PIE_CHECK(tokens_.size() == order_.size() && tokens_.size() == attention_.size(), "one cell a token");
    PIE_CHECK(tokens_.size() + free_.size() == cells_.size(), "every cell is used or free");
    for (int32_t i = 0; i < n_tokens(); ++i) {
        PIE_CHECK(position_of(cell_at(Position(i))) == Position(i), "token i has position i");
    }
    size_t n_recallable = 0;
    for (const auto& [dropped, cell] : free_) {
        PIE_CHECK(position_of(CellIndex(cell)) == hidden, "free cells are hidden");
        PIE_CHECK(at(CellIndex(cell)).dropped == dropped, "free cells are in the order of their dropping");
        n_recallable += dropped > 0 ? 1 : 0;
    }
    PIE_CHECK(n_recallable == dropped_by_context_.size(), "each dropped cell is found");
    for (const auto& [context, cell] : dropped_by_context_) {
        PIE_CHECK(at(cell).context == context && at(cell).dropped > 0, "by its own hash");
    }
}

} // namespace pie
