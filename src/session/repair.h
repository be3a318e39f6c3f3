#pragma once

// Which kept tokens an update encodes again beyond the seam. Their values were made when something else stood
// before them; within a budget, a policy picks those where that matters most for what the model writes next.
// docs/lab/fidelity.md has the figures behind the default.
//
// Thread rule: pure functions.

#include "cache/plan.h"

#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace pie {

struct RepairRequest {
    std::span<const TokenId> cached; // the sequence before the edit
    std::span<const TokenId> wanted;
    const EditPlan& plan;             // with its seams
    std::span<const float> attention; // by wanted position: what the last completions paid to the token
    // That the plan keeps, and that were encoded behind other tokens than stand before them (of what was
    // encoded since they do, another time would change little), ascending.
    std::span<const Position> outdated;
    int32_t budget = 0; // most tokens
};

// Of the outdated positions, ascending, at most the budget: there is little to repair anywhere else.
using RepairPolicy = std::function<std::vector<Position>(const RepairRequest&)>;

// Those that the last completions looked at most; none that they did not look at.
std::vector<Position> repair_by_attention(const RepairRequest& request);

// Later occurrences of tokens that the edit brought in or took out, each with its neighbourhood.
std::vector<Position> repair_later_occurrences(const RepairRequest& request);

// The `budget` outdated positions with the largest score above 0, ascending: what most policies end in.
std::vector<Position> best_positions(const RepairRequest& request, std::span<const float> score);

} // namespace pie
