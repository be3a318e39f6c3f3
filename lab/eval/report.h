#pragma once

// Results as tables: the paper's own (arXiv 2407.03157: exact match and edit similarity of the completed line
// by setting, and its contextual table), how far each method is from full recompute, tests passed,
// where PIE still loses, with examples, what failed.
//
// Thread rule: pure functions.

#include "eval/losses.h"
#include "eval/results.h"
#include "eval/summary.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace pie {

// Summed up once for all that is written of them; intervals take their time.
struct Report {
    std::vector<Summary> by_edit;
    std::vector<Summary> by_setting;
    std::vector<Losses> losses;
    std::map<std::string, size_t> failures; // measurements by reason
};
Report make_report(std::span<const Measurement> measurements);

// For people.
std::string report_markdown(const Report& report);
// For programs: a line a language, setting, kind of edit and method.
std::string report_csv(const Report& report);
// Cosines by kind of edit, method and layer.
std::string layers_csv(const Report& report);

} // namespace pie
