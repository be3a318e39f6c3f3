#include "bench/serving_figures.h"

#include "bench/serving_systems.h"
#include "bench/text_table.h"
#include "bench/workloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace pie {
namespace {

constexpr int32_t at_4k = 4096;
constexpr int32_t at_8k = 8192;

std::optional<double> p50(const std::optional<Quantiles>& quantiles) {
    return quantiles ? std::optional(quantiles->p50) : std::nullopt;
}

std::optional<double> p99(const std::optional<Quantiles>& quantiles) {
    return quantiles ? std::optional(quantiles->p99) : std::nullopt;
}

bool is_typing(const ServingCell& cell) {
    return cell.workload == "typing" && cell.context == at_4k;
}

// At three quarters of 4k there are 1,000 tokens behind the edit.
bool is_edit_before_1000(const ServingCell& cell) {
    const std::string_view name = cell.workload;
    return cell.context == at_4k &&
           (name == "line" || name == "jump" || (!name.starts_with("after") && name.ends_with("-at-3/4")));
}

bool is_early_insertion(const ServingCell& cell, int32_t context) {
    const std::string_view name = cell.workload;
    return cell.context == context && name.starts_with("insert-") && name.ends_with("-at-1/4");
}

// Of up to 16 tokens.
bool is_small_edit(const ServingCell& cell) {
    const auto entry = std::ranges::find(workloads(), cell.workload, &Workload::name);
    const bool is_sized = entry != workloads().end() && entry->n_tokens > 0 && entry->n_tokens <= 16;
    return is_typing(cell) || (cell.context == at_4k && is_sized);
}

std::optional<double> typing_p50(const ServingCell& cell) {
    return is_typing(cell) ? p50(cell.sooner_as_used) : std::nullopt;
}

std::optional<double> typing_p99(const ServingCell& cell) {
    return is_typing(cell) ? p99(cell.sooner_as_used) : std::nullopt;
}

std::optional<double> edits_before_1000(const ServingCell& cell) {
    return is_edit_before_1000(cell) ? p50(cell.sooner) : std::nullopt;
}

std::optional<double> insertion_4k(const ServingCell& cell) {
    return is_early_insertion(cell, at_4k) ? p50(cell.sooner) : std::nullopt;
}

std::optional<double> insertion_8k(const ServingCell& cell) {
    return is_early_insertion(cell, at_8k) ? p50(cell.sooner) : std::nullopt;
}

std::optional<double> over_limit(const ServingCell& cell) {
    return p50(cell.over_limit);
}

std::optional<double> spread_over_limit(const ServingCell& cell) {
    const SystemSummary* limit = find_system(cell, limit_system);
    return !cell.over_limit || limit == nullptr || limit->n_steps < 2
               ? std::nullopt
               : std::optional(cell.over_limit->p99 / cell.over_limit->p50);
}

std::optional<double> spread(const ServingCell& cell) {
    const SystemSummary* ours = find_system(cell, our_system);
    return ours == nullptr || ours->n_steps < 2 ? std::nullopt
                                                : std::optional(ours->first_ms.p99 / ours->first_ms.p50);
}

std::optional<double> saved(const ServingCell& cell) {
    const SystemSummary* ours = find_system(cell, our_system);
    return ours == nullptr || !is_small_edit(cell) ? std::nullopt : std::optional(ours->saved);
}

// All settings of llama-server decode alike, so that the quickest of them would be the luckiest.
std::optional<double> decoding(const ServingCell& cell) {
    const SystemSummary* ours = find_system(cell, our_system);
    double sum = 0;
    double n = 0;
    for (const SystemSummary& other : cell.systems) {
        if (other.system != our_system && other.decode_tokens_per_s > 0) {
            sum += other.decode_tokens_per_s;
            ++n;
        }
    }
    return ours == nullptr || n == 0 || ours->decode_tokens_per_s == 0
               ? std::nullopt
               : std::optional(ours->decode_tokens_per_s * n / sum);
}

using enum FigureBound;
using enum FigureUnit;

constexpr Figure figure_table[] = {
    {"typing at 4k, sooner than as editors use llama-server, p50", at_least, 20, times, typing_p50},
    {"the same, p99", at_least, 10, times, typing_p99},
    {"lines, jumps and edits with 1,000 tokens behind them, sooner than the best layout", at_least, 20, times,
     edits_before_1000},
    {"insertion at 1/4 of 4k, sooner than the best layout", at_least, 100, times, insertion_4k},
    {"insertion at 1/4 of 8k, sooner than the best layout", at_least, 200, times, insertion_8k},
    {"first token over the limit, p50", at_most, 1.1, times, over_limit},
    {"the same, p99 over p50", at_most, 1.5, times, spread_over_limit},
    {"first token, whatever a step has to encode, p99 over p50", at_most, 1.5, times, spread},
    {"tokens saved, edits of up to 16 tokens at 4k", at_least, 0.99, share, saved},
    {"decoding over llama-server's", at_least, 1, times, decoding},
};

std::string text_of(double value, FigureUnit unit) {
    return unit == share ? fmt::format("{:.4g} %", 100 * value) : fmt::format("{:.4g}", value);
}

} // namespace

std::span<const Figure> figures() {
    return figure_table;
}

std::vector<MeasuredFigure> measure_figures(std::span<const ServingCell> cells) {
    std::vector<MeasuredFigure> measured;
    for (const Figure& figure : figure_table) {
        MeasuredFigure entry{.figure = &figure, .worst = {}};
        for (const ServingCell& cell : cells) {
            const auto value = figure.value(cell);
            const bool is_worse =
                value &&
                (!entry.worst || (figure.bound == at_least ? *value < *entry.worst : *value > *entry.worst));
            if (is_worse) {
                entry.worst = value;
                entry.where = cell_name(cell);
            }
        }
        entry.is_met = entry.worst && (figure.bound == at_least ? *entry.worst >= figure.asked
                                                                : *entry.worst <= figure.asked);
        measured.push_back(std::move(entry));
    }
    return measured;
}

std::string figures_table(std::span<const ServingCell> cells) {
    std::vector<TableRow> rows = {{"figure", "asked", "measured", "where", "met"}};
    for (const MeasuredFigure& entry : measure_figures(cells)) {
        const Figure& figure = *entry.figure;
        rows.push_back({std::string(figure.what),
                        fmt::format("{} {}", figure.bound == at_least ? "at least" : "at most",
                                    text_of(figure.asked, figure.unit)),
                        entry.worst ? text_of(*entry.worst, figure.unit) : "-",
                        entry.worst ? entry.where : "-",
                        entry.worst ? (entry.is_met ? "yes" : "no") : "not measured"});
    }
    return markdown_table(rows);
}

} // namespace pie
