#pragma once

// Where a method loses against full recompute on the same row: how often by kind of edit, and the worst rows.
//
// Thread rule: a pure function.

#include "eval/results.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace pie {

struct KindLosses {
    std::string kind;
    size_t n_rows = 0;
    size_t n_lost = 0; // full recompute was right, and the method was not
    size_t n_won = 0;  // the other way round
    double kl = 0;     // mean
};

struct Loss {
    Measurement full;
    Measurement own;
};

struct Losses {
    std::string model;
    std::string method;
    std::vector<KindLosses> kinds; // most rows lost on balance, as a share, first; then the largest KL
    std::vector<Loss> examples;    // the worst of as many kinds, worst first: lost ones, then the largest KL
};

// Of each model, plain PIE and PIE with its seam, where they were measured. Right is whose tests pass, or,
// where there are none, whose line is the target.
std::vector<Losses> find_losses(std::span<const Measurement> measurements);

} // namespace pie
