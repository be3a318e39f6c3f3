#pragma once

// From a diff to work: which cached tokens stay (and where they go), and which positions are encoded. Encoded
// are the inserted tokens, a seam of `seam` tokens behind each edit, every control token behind the first
// edit (the fill-in-the-middle markers hold what stood before them; PIE's error sits there), `line` tokens
// behind the last of them (the line at the cursor, which the model continues), and the last token, whose
// logits the caller wants. See docs/kv-reuse.md for the figures behind the seam.
//
// Thread rule: a pure function; it may run in any number of threads if `is_control` may.

#include "cache/diff.h"

#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace pie {

struct PlanOptions {
    int32_t seam = 8; // kept tokens behind each edit that are encoded again; all of them if there are fewer
    bool repair_control_tokens = true;
    // With them, kept tokens behind the last control token, if that is among the last 33 tokens.
    int32_t line = 32;
};

// A cell outside of the sequence that holds what is wanted at a position.
struct RecalledCell {
    Position position;
    CellIndex cell;

    bool operator==(const RecalledCell&) const = default;
};

struct EditPlan {
    std::vector<KeptRun> keep;    // ascending `to`; what remains of the diff's runs
    std::vector<KeptRun> again;   // ascending `to`; what of those runs is encoded again
    std::vector<Position> encode; // ascending; always holds the last position of a non-empty sequence
    int32_t tokens_kept = 0;      // sum of keep's lengths
    int32_t tokens_moved = 0;     // those of them whose position changed
    // Ascending positions, neither kept nor encoded; plan_edit() leaves it empty.
    std::vector<RecalledCell> recall = {};
};

// `runs` from diff_tokens(cached, wanted), `n_cached` the length of `cached`. An edit is any place in
// `wanted` where a run does not continue its predecessor: behind inserted or deleted tokens, at the start of
// a moved block and behind it. The first edit is the first such place; a diff without one encodes the last
// token alone. A seam ends at the next inserted token, because the seam behind that one reaches further.
EditPlan plan_edit(std::span<const TokenId> wanted, int32_t n_cached, std::span<const KeptRun> runs,
                   const std::function<bool(TokenId)>& is_control, const PlanOptions& options);

// Encodes `positions` (ascending) again that `plan` keeps; others are ignored.
void encode_again(EditPlan& plan, std::span<const Position> positions);

// Takes `cells` (ascending positions) where `plan` keeps others or encodes.
void recall(EditPlan& plan, std::span<const RecalledCell> cells);

// Recalls what `plan` keeps from `n_cached` on: `cells` stand there, behind the cached tokens.
void recall_blocks(EditPlan& plan, int32_t n_cached, std::span<const CellIndex> cells);

// Values of the cached tokens, handed on to those of the wanted ones that are the same tokens; 0 for new
// ones.
std::vector<float> carry_over(const EditPlan& plan, std::span<const float> cached, size_t n_wanted);

} // namespace pie
