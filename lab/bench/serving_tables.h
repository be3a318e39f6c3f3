#pragma once

// Summaries of measured servers for people and for programs.
//
// Thread rule: pure functions.

#include "bench/serving_report.h"

#include <span>
#include <string>

namespace pie {

// Markdown, aligned for people.
std::string serving_tables(std::span<const ServingCell> cells);
// One JSON object a cell and line.
std::string serving_lines(std::span<const ServingCell> cells);

} // namespace pie
