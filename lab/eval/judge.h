#pragma once

// Turns what a method said and wrote into figures.
//
// Thread rule: pure functions.

#include "eval/results.h"
#include "eval/rows.h"

#include <pie/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace pie {

// Logits ahead of each scored token, [n_scored][n_vocab].
struct Scored {
    std::vector<float> logits;
    size_t n_vocab = 0;

    std::span<const float> at(size_t i) const { return std::span(logits).subspan(i * n_vocab, n_vocab); }
};

// Distance from full recompute, and agreement with the target. `own` may be `full` itself.
void fill_agreement(Measurement& m, const Scored& own, const Scored& full, std::span<const TokenId> target);

// Whether the line that the completion predicts is the row's.
void judge_line(Measurement& m, const EvalRow& row, const std::string& completion);

} // namespace pie
