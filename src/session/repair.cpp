#include "session/repair.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace pie {
namespace {

// Tokens that occur in one sequence more often than in the other: an edit brought them in or took them out.
// Very common ones tell nothing (line ends, spaces, brackets).
std::unordered_set<TokenId> edited_tokens(const RepairRequest& request) {
    constexpr int32_t common = 32;
    std::unordered_map<TokenId, int32_t> difference;
    std::unordered_map<TokenId, int32_t> occurrences;
    for (const TokenId token : request.wanted) {
        ++difference[token];
        ++occurrences[token];
    }
    for (const TokenId token : request.cached) {
        --difference[token];
    }
    std::unordered_set<TokenId> edited;
    for (const auto& [token, count] : difference) {
        if (count != 0 && occurrences[token] <= common) {
            edited.insert(token);
        }
    }
    return edited;
}

} // namespace

std::vector<Position> best_positions(const RepairRequest& request, std::span<const float> score) {
    const auto score_of = [&](Position position) { return score[static_cast<size_t>(position.value)]; };
    std::vector<Position> positions(request.outdated.begin(), request.outdated.end());
    std::erase_if(positions, [&](Position position) { return score_of(position) <= 0; });
    if (std::ssize(positions) > request.budget) {
        const auto end = positions.begin() + request.budget;
        std::ranges::nth_element(positions, end, std::ranges::greater(), score_of);
        positions.erase(end, positions.end());
        std::ranges::sort(positions);
    }
    return positions;
}

std::vector<Position> repair_by_attention(const RepairRequest& request) {
    return best_positions(request, request.attention);
}

std::vector<Position> repair_later_occurrences(const RepairRequest& request) {
    constexpr int32_t neighbourhood = 4; // tokens on either side
    const std::unordered_set<TokenId> edited = edited_tokens(request);
    const auto n_wanted = static_cast<int32_t>(request.wanted.size());
    std::vector<float> score(request.wanted.size(), 0.0F);
    for (int32_t i = 0; i < n_wanted; ++i) {
        if (!edited.contains(request.wanted[static_cast<size_t>(i)])) {
            continue;
        }
        for (int32_t j = std::max(0, i - neighbourhood); j <= std::min(n_wanted - 1, i + neighbourhood);
             ++j) {
            float& best = score[static_cast<size_t>(j)];
            best = std::max(best, 1.0F / static_cast<float>(1 + std::abs(i - j)));
        }
    }
    return best_positions(request, score);
}

} // namespace pie
