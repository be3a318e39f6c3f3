#pragma once

// From measurements to a table: for each kind of edit and method the mean over the rows, with bootstrap
// intervals, and paired differences to full recompute on the same rows.
//
// Thread rule: pure functions.

#include "eval/results.h"
#include "eval/statistics.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace pie {

// One kind and method. Without a single row that has figures all of them are 0.
struct Summary {
    std::string model;
    std::string kind;
    std::string method;
    size_t n_rows = 0;   // with figures
    size_t n_failed = 0; // without
    MeanInterval kl;
    MeanInterval kl_first;
    MeanInterval top1_agreement;
    MeanInterval exact_match;
    MeanInterval exact_match_to_full; // the difference, row by row
    MeanInterval loss;
    MeanInterval loss_to_full;
    double tokens_after = 0;
    double tokens_encoded = 0;
    double milliseconds = 0;
};

// By kind, then method, both in the order in which they come first.
std::vector<Summary> summarise(std::span<const Measurement> measurements);

// For people: one block a kind.
std::string summary_table(std::span<const Summary> summaries);
// For programs: one JSON object a line.
std::string summary_lines(std::span<const Summary> summaries);

} // namespace pie
