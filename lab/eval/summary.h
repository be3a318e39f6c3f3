#pragma once

// From measurements to figures: for each group of rows and method the mean, with bootstrap intervals, and
// paired differences to full recompute on the same rows.
//
// Thread rule: pure functions.

#include "eval/results.h"
#include "eval/statistics.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// What rows have in common that are summed up together, besides the model and the method.
enum class Grouping {
    edit,           // the kind of edit
    edit_in_setting // and language and setting of the sample
};

// One group and method. Without a single row that has figures all of them are 0.
struct Summary {
    std::string model;
    std::string language; // empty where rows of several are together
    std::string setting;  // the same
    std::string kind;
    std::string method;
    size_t n_rows = 0;   // with figures
    size_t n_failed = 0; // without
    size_t n_tested = 0; // whose completion was run
    MeanInterval kl;
    MeanInterval kl_first;
    MeanInterval top1_agreement;
    MeanInterval exact_match;
    MeanInterval exact_match_to_full; // the difference, row by row
    MeanInterval loss;
    MeanInterval loss_to_full;
    MeanInterval line_match;
    MeanInterval line_match_to_full;
    MeanInterval edit_similarity;
    MeanInterval edit_similarity_to_full;
    MeanInterval passed;
    MeanInterval passed_to_full;
    double tokens_after = 0;
    double n_edits = 0;
    double tokens_encoded = 0;
    double flops = 0;
    double milliseconds = 0;
    std::vector<double> key_cosines; // by layer; empty where no row has any
    std::vector<double> value_cosines;
};

// The figures that have an interval, as files and tables name them.
struct IntervalFigure {
    std::string_view name;
    MeanInterval Summary::*member;
};
std::span<const IntervalFigure> interval_figures();

// By group, then method, both in the order in which they come first.
std::vector<Summary> summarise(std::span<const Measurement> measurements, Grouping grouping);

} // namespace pie
