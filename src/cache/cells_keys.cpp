// What cells know of their keys: the position that each is rotated for, how often it was turned, and whether
// a full recompute would hold the same.

#include "base/check.h"
#include "cache/cells.h"

#include <algorithm>
#include <map>

namespace pie {

// The hash of a sequence from that of all but its last token (the finaliser of SplitMix64).
uint64_t KvCells::extended(uint64_t context, TokenId token) {
    uint64_t x = context + 0x9E3779B97F4A7C15U * (static_cast<uint32_t>(token.value) + 1ULL);
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
    x ^= x >> 31U;
    return x > nothing_before ? x : nothing_before + 1;
}

// Of each of the tokens, the hash of all up to it.
std::vector<uint64_t> KvCells::contexts(std::span<const TokenId> tokens) {
    std::vector<uint64_t> contexts;
    contexts.reserve(tokens.size());
    uint64_t context = nothing_before;
    for (const TokenId token : tokens) {
        contexts.push_back(context = extended(context, token));
    }
    return contexts;
}

std::vector<Position> KvCells::stale_in(const EditPlan& plan, std::span<const TokenId> wanted) const {
    return stale_in(plan, contexts(wanted));
}

// Positions at which `plan` keeps such cells; `exact` are the contexts of the wanted tokens.
std::vector<Position> KvCells::kept_where(const EditPlan& plan, std::span<const uint64_t> exact,
                                          bool (*is_wanted)(const Cell& cell, uint64_t exact)) const {
    std::vector<Position> positions;
    for (const KeptRun& run : plan.keep) {
        for (int32_t i = 0; i < run.length; ++i) {
            if (is_wanted(at(cell_at(Position(run.from + i))), exact[static_cast<size_t>(run.to + i)])) {
                positions.emplace_back(run.to + i);
            }
        }
    }
    return positions;
}

std::vector<Position> KvCells::stale_in(const EditPlan& plan, std::span<const uint64_t> exact) const {
    return kept_where(plan, exact, [](const Cell& cell, uint64_t hash) { return cell.context != hash; });
}

std::vector<Position> KvCells::outdated_in(const EditPlan& plan, std::span<const TokenId> wanted) const {
    return kept_where(plan, contexts(wanted), [](const Cell& cell, uint64_t hash) {
        return cell.context != hash && cell.read != hash;
    });
}

// What an edit encoded is exact as far as everything before it is. (Positions are encoded in ascending order,
// so that whatever stands before one was there when it was encoded.)
void KvCells::trace_exactness() {
    uint64_t context = nothing_before;
    n_exact_ = 0;
    n_identical_ = 0;
    for (int32_t i = 0; i < n_tokens(); ++i) {
        context = extended(context, tokens_[static_cast<size_t>(i)]);
        Cell& cell = at(cell_at(Position(i)));
        const bool is_behind_exact = n_exact_ == i;
        const Encoded encoded = cell.context == fresh ? Encoded::now : Encoded::before;
        if (encoded == Encoded::now) {
            cell.context = is_behind_exact ? context : unknown;
            cell.read = context;
        }
        if (is_behind_exact && cell.context == context) {
            count_exact(encoded);
        }
    }
}

// The token at n_exact_ is exact too.
void KvCells::count_exact(Encoded encoded) {
    const Position position(n_exact_);
    if (encoded == Encoded::now && n_identical_ < n_exact_) {
        at(cell_at(position)).rounding = Rounding::otherwise;
    }
    if (n_identical_ == n_exact_ && is_identical(position)) {
        ++n_identical_;
    }
    ++n_exact_;
}

bool KvCells::is_identical(Position position) const {
    const Cell& cell = at(cell_at(position));
    return cell.key_turns == 0 && cell.key_position == cell.position && cell.rounding == Rounding::as_full;
}

std::vector<PendingRotation> KvCells::pending_rotations() const {
    std::map<int32_t, std::vector<CellIndex>> by_delta;
    for (int32_t i = 0; i < n_cells(); ++i) {
        const Cell& cell = cells_[static_cast<size_t>(i)];
        if (cell.position != hidden && cell.position != cell.key_position) {
            by_delta[cell.position - cell.key_position].emplace_back(i);
        }
    }
    std::vector<PendingRotation> pending;
    pending.reserve(by_delta.size());
    for (auto& [delta, cells] : by_delta) {
        pending.push_back({delta, std::move(cells)});
    }
    return pending;
}

void KvCells::settle_keys() {
    for (Cell& cell : cells_) {
        if (cell.position == hidden || cell.position == cell.key_position) {
            continue;
        }
        cell.key_position = cell.position;
        if (++cell.key_turns > turns_max_) {
            cell.context = unknown;
            cell.read = unknown;
        }
    }
    if (!editing_) {
        trace_exactness();
    }
}

void KvCells::leave_keys() {
    PIE_CHECK(editing_, "leave_keys() belongs into an edit");
    for (const CellIndex index : saved_.order) {
        Cell& cell = at(index);
        saved_.cells.push_back(cell);
        if (cell.position != hidden && cell.position != cell.key_position) {
            cell.key_position = cell.position;
            cell.context = unknown;
            cell.read = unknown;
        }
    }
}

std::vector<CachedToken> KvCells::cached_tokens() const {
    PIE_CHECK(!editing_, "an edit ends before the sequence is told");
    std::vector<CachedToken> cached;
    cached.reserve(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
        const Cell& cell = cells_[static_cast<size_t>(order_[i].value)];
        cached.push_back({.token = tokens_[i],
                          .cell = order_[i],
                          .key_position = cell.key_position,
                          .attention = attention_[i],
                          .context = cell.context,
                          .read = cell.read,
                          .key_turns = cell.key_turns,
                          .rounding = cell.rounding});
    }
    return cached;
}

void KvCells::add(const CachedToken& token, CellIndex cell) {
    const Position position(n_tokens());
    tokens_.push_back(token.token);
    attention_.push_back(token.attention);
    order_.push_back(cell);
    assign(position, cell);
    at(cell).token = token.token;
    at(cell).key_position = token.key_position;
    at(cell).context = token.context;
    at(cell).read = token.read;
    at(cell).key_turns = token.key_turns;
    at(cell).rounding = token.rounding;
}

std::vector<CellIndex> KvCells::adopt(std::span<const CachedToken> cached) {
    PIE_CHECK(!editing_, "an edit ends before tokens are adopted");
    std::vector<CellIndex> cells;
    for (const CachedToken& token : cached) {
        cells.push_back(take_free_cell());
        add(token, cells.back());
    }
    trace_exactness();
    return cells;
}

void KvCells::restore(std::span<const CachedToken> cached) {
    PIE_CHECK(!editing_ && tokens_.empty() && dropped_by_context_.empty(),
              "a sequence is restored into cells without one");
    for (const CachedToken& token : cached) {
        PIE_CHECK(position_of(token.cell) == hidden, "each token has a cell of its own");
        free_.erase({0, token.cell.value});
        n_touched_ = std::max(n_touched_, token.cell.value + 1);
        add(token, token.cell);
    }
    trace_exactness();
}

} // namespace pie
