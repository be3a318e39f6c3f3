#pragma once

// The figures that pie is to reach, in one table, and what the results say of them: the worst cell counts.
//
// Thread rule: pure functions.

#include "bench/serving_report.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

enum class FigureBound { at_least, at_most };
enum class FigureUnit { times, share };

struct Figure {
    std::string_view what;
    FigureBound bound;
    double asked;
    FigureUnit unit;
    // None where the cell has nothing to do with it.
    std::optional<double> (*value)(const ServingCell& cell);
};

std::span<const Figure> figures();

struct MeasuredFigure {
    const Figure* figure;
    std::optional<double> worst; // none where nothing of it was measured
    std::string where = {};
    bool is_met = false;
};

// The cells are of one model.
std::vector<MeasuredFigure> measure_figures(std::span<const ServingCell> cells);

std::string figures_table(std::span<const ServingCell> cells);

} // namespace pie
