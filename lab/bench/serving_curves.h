#pragma once

// How a time grows: over the tokens of the document, and over what the number in a workload's name says, as
// there are tokens of an edit, edits before it, or sessions.
//
// Thread rule: pure functions.

#include "bench/serving_report.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct Curve {
    std::string name; // "typing", or "insert-N-at-1/4 at 4096 tokens"
    std::string over; // "tokens", or "N"
    std::map<int32_t, const ServingCell*> points;
};

// Of two points and more. The cells are of one model, and outlive the curves.
std::vector<Curve> curves_of(std::span<const ServingCell> cells);

// A table for all curves that have the same points, each with its title; nothing where there is no curve.
std::string curve_tables(std::span<const ServingCell> cells);

// "insert-16-at-1/4" is {"insert-N-at-1/4", 16}.
struct VaryingName {
    std::string name;
    int32_t n = 0;
};
std::optional<VaryingName> varying_name(std::string_view workload);

} // namespace pie
