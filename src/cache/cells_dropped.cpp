// Free cells: which is handed out next, and what those that were dropped still hold.

#include "base/check.h"
#include "cache/cells.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace pie {

CellIndex KvCells::next_free_cell() const {
    const CellIndex first(free_.begin()->second);
    const int32_t n_enough = 4 * n_tokens() + 256;
    if (first.value < n_touched_ || n_touched_ < n_enough) {
        return first;
    }
    const auto oldest = free_.lower_bound({1, 0}); // that was dropped
    return oldest == free_.end() ? first : CellIndex(oldest->second);
}

void KvCells::forget_touched() {
    PIE_CHECK(tokens_.empty() && dropped_by_context_.empty(), "rows that are held stay");
    n_touched_ = 0;
}

CellIndex KvCells::take_free_cell() {
    PIE_CHECK(!free_.empty(), "the caller checks that there is room");
    const CellIndex cell = next_free_cell();
    n_touched_ = std::max(n_touched_, cell.value + 1);
    recall(cell);
    at(cell) = Cell();
    return cell;
}

// Out of the free cells, with what it holds.
void KvCells::recall(CellIndex cell) {
    Cell& recalled = at(cell);
    free_.erase({recalled.dropped, cell.value});
    if (std::exchange(recalled.dropped, 0) > 0) {
        dropped_by_context_.erase(recalled.context);
    }
}

// Or no_cell.
CellIndex KvCells::dropped_with(uint64_t context) const {
    const auto found = dropped_by_context_.find(context);
    return found == dropped_by_context_.end() ? no_cell : found->second;
}

void KvCells::release(CellIndex cell, Dropped dropped) {
    if (dropped == Dropped::lost || dropped_ == Dropped::lost || at(cell).context <= nothing_before) {
        forget(cell);
        return;
    }
    if (const CellIndex older = dropped_with(at(cell).context); older != no_cell) {
        forget_dropped(older);
    }
    at(cell).position = hidden;
    at(cell).dropped = ++n_dropped_;
    free_.emplace_hint(free_.end(), at(cell).dropped, cell.value);
    dropped_by_context_.emplace(at(cell).context, cell);
}

// Neither in the sequence nor free, it becomes free and holds nothing.
void KvCells::forget(CellIndex cell) {
    at(cell) = Cell();
    free_.emplace(0, cell.value);
}

void KvCells::forget_dropped(CellIndex cell) {
    recall(cell);
    forget(cell);
}

void KvCells::forget_dropped() {
    while (!dropped_by_context_.empty()) {
        forget_dropped(dropped_by_context_.begin()->second);
    }
}

void KvCells::drop_replaced() {
    for (const CellIndex cell : dropped_cells()) {
        const Position position = at(cell).key_position;
        const bool is_there =
            position < Position(n_tokens()) && at(cell_at(position)).context == at(cell).context;
        release(cell, is_there ? Dropped::lost : Dropped::kept);
    }
}

std::vector<RecalledCell> KvCells::recallable(const EditPlan& plan, std::span<const TokenId> wanted,
                                              int32_t n) const {
    std::vector<RecalledCell> found;
    if (dropped_by_context_.empty()) {
        return found;
    }
    const std::vector<uint64_t> exact = contexts(wanted);
    std::vector<Position> sought;
    std::ranges::merge(plan.encode, stale_in(plan, exact), std::back_inserter(sought));
    for (const Position position : sought) {
        const CellIndex cell = dropped_with(exact[static_cast<size_t>(position.value)]);
        if (position < Position(n) && cell != no_cell) {
            found.push_back({position, cell});
        }
    }
    return found;
}

// Goes along what is wanted, and from each token that a dropped cell holds on from hash to hash.
class KvCells::BlockSearch {
  public:
    BlockSearch(const KvCells& cells, std::span<const TokenId> wanted, std::span<const KeptRun> runs);

    DroppedBlocks blocks(int32_t length_min);

  private:
    using TokenCell = std::pair<TokenId, CellIndex>;

    // Of a token that stands everywhere the cells dropped last are looked at; its block is found from another
    // one on.
    static constexpr int n_tried_max = 64;

    bool is_taken(CellIndex cell) const { return is_taken_[static_cast<size_t>(cell.value)]; }
    void take(CellIndex cell) { is_taken_[static_cast<size_t>(cell.value)] = true; }
    std::vector<CellIndex> chain_from(CellIndex first, std::span<const TokenId> tokens) const;
    std::vector<CellIndex> longest_chain(std::span<const TokenId> tokens) const;

    const KvCells& cells_;
    std::span<const TokenId> wanted_;
    std::vector<TokenCell> by_token_; // of each token, the one dropped last is first
    std::vector<bool> is_open_;       // by position
    std::vector<bool> is_taken_;      // by cell
};

KvCells::BlockSearch::BlockSearch(const KvCells& cells, std::span<const TokenId> wanted,
                                  std::span<const KeptRun> runs)
    : cells_(cells), wanted_(wanted), is_open_(wanted.size(), true), is_taken_(cells.cells_.size(), false) {
    for (auto cell = cells.free_.rbegin(); cell != cells.free_.rend() && cell->first > 0; ++cell) {
        by_token_.emplace_back(cells.at(CellIndex(cell->second)).token, cell->second);
    }
    std::ranges::stable_sort(by_token_, {}, &TokenCell::first);
    for (const KeptRun& run : runs) {
        std::fill_n(is_open_.begin() + run.to, run.length, false);
    }
    const std::vector<uint64_t> exact = contexts(wanted);
    for (size_t i = 0; i < exact.size(); ++i) {
        if (const CellIndex cell = cells.dropped_with(exact[i]); cell != no_cell) {
            is_open_[i] = false;
            take(cell);
        }
    }
}

// The cells of the longest start of `tokens`, whose first one `first` holds.
std::vector<CellIndex> KvCells::BlockSearch::chain_from(CellIndex first,
                                                        std::span<const TokenId> tokens) const {
    std::vector<CellIndex> chain = {first};
    while (chain.size() < tokens.size()) {
        const uint64_t context = extended(cells_.at(chain.back()).context, tokens[chain.size()]);
        const CellIndex next = cells_.dropped_with(context);
        if (next == no_cell || is_taken(next)) {
            break;
        }
        chain.push_back(next);
    }
    return chain;
}

std::vector<CellIndex> KvCells::BlockSearch::longest_chain(std::span<const TokenId> tokens) const {
    std::vector<CellIndex> longest;
    auto first = std::ranges::lower_bound(by_token_, tokens[0], {}, &TokenCell::first);
    for (int n_tried = 0; first != by_token_.end() && first->first == tokens[0]; ++first) {
        if (is_taken(first->second)) {
            continue;
        }
        std::vector<CellIndex> chain = chain_from(first->second, tokens);
        if (chain.size() > longest.size()) {
            longest = std::move(chain);
        }
        if (longest.size() == tokens.size() || ++n_tried == n_tried_max) {
            break;
        }
    }
    return longest;
}

DroppedBlocks KvCells::BlockSearch::blocks(int32_t length_min) {
    DroppedBlocks blocks;
    const auto n_min = static_cast<size_t>(length_min);
    size_t end = 0; // of the open stretch
    for (size_t to = 0; to < wanted_.size();) {
        if (!is_open_[to]) {
            ++to;
            continue;
        }
        if (end <= to) {
            end = static_cast<size_t>(std::find(is_open_.begin() + to, is_open_.end(), false) -
                                      is_open_.begin());
        }
        const auto chain =
            end - to < n_min ? std::vector<CellIndex>() : longest_chain(wanted_.subspan(to, end - to));
        if (chain.size() < n_min) {
            ++to;
            continue;
        }
        blocks.cells.push_back(no_cell);
        blocks.runs.push_back({.from = cells_.n_tokens() + static_cast<int32_t>(blocks.cells.size()),
                               .to = static_cast<int32_t>(to),
                               .length = static_cast<int32_t>(chain.size())});
        blocks.cells.insert(blocks.cells.end(), chain.begin(), chain.end());
        std::ranges::for_each(chain, [this](CellIndex cell) { take(cell); });
        to += chain.size();
    }
    return blocks;
}

DroppedBlocks KvCells::dropped_blocks(std::span<const TokenId> wanted, std::span<const KeptRun> runs,
                                      int32_t length_min) const {
    auto n_open = static_cast<int32_t>(wanted.size());
    for (const KeptRun& run : runs) {
        n_open -= run.length;
    }
    if (std::min(n_open, static_cast<int32_t>(dropped_by_context_.size())) < length_min) {
        return {};
    }
    return BlockSearch(*this, wanted, runs).blocks(length_min);
}

} // namespace pie
