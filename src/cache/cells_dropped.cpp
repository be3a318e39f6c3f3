// Free cells: which is handed out next, and what those that were dropped still hold.

#include "base/check.h"
#include "cache/cells.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pie {

CellIndex KvCells::take_free_cell() {
    PIE_CHECK(!free_.empty(), "the caller checks that there is room");
    const CellIndex cell(free_.begin()->second);
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

void KvCells::release(CellIndex cell, Dropped dropped) {
    if (dropped == Dropped::lost || dropped_ == Dropped::lost || at(cell).context <= nothing_before) {
        forget(cell);
        return;
    }
    if (const auto older = dropped_by_context_.find(at(cell).context); older != dropped_by_context_.end()) {
        forget_dropped(older->second);
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
        const auto dropped = dropped_by_context_.find(exact[static_cast<size_t>(position.value)]);
        if (position < Position(n) && dropped != dropped_by_context_.end()) {
            found.push_back({position, dropped->second});
        }
    }
    return found;
}

} // namespace pie
