#include "bench/serving_report.h"

#include "base/quantile.h"
#include "bench/serving_systems.h"
#include "bench/workloads.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace pie {
namespace {

double median_of(const std::vector<int32_t>& values) {
    return median(std::vector<double>(values.begin(), values.end()));
}

// Tokens that were encoded twice can make it less than nothing.
double saved(const ServingMeasurement& m) {
    std::vector<double> shares;
    for (size_t i = 0; i < std::min(m.tokens_encoded.size(), m.tokens_context.size()); ++i) {
        const double n_context = std::max(1.0, static_cast<double>(m.tokens_context[i]));
        shares.push_back(std::max(0.0, 1 - m.tokens_encoded[i] / n_context));
    }
    return median(shares);
}

double decode_tokens_per_s(const ServingMeasurement& m) {
    double n_tokens = 0;
    double milliseconds = 0;
    for (size_t i = 0; i < std::min({m.total_ms.size(), m.first_ms.size(), m.tokens_written.size()}); ++i) {
        if (m.tokens_written[i] > 1) {
            n_tokens += m.tokens_written[i] - 1;
            milliseconds += m.total_ms[i] - m.first_ms[i];
        }
    }
    return milliseconds > 0 ? 1000 * n_tokens / milliseconds : 0;
}

SystemSummary summary_of(const ServingMeasurement& m) {
    std::vector<double> first_ms = m.first_ms;
    std::erase(first_ms, 0.0); // steps for which there is no limit
    return {.system = m.system,
            .n_steps = first_ms.size(),
            .first_ms = quantiles_of(first_ms),
            .total_ms = quantiles_of(m.total_ms),
            .prompt_ms = median(m.prompt_ms),
            .tokens_encoded = median_of(m.tokens_encoded),
            .tokens_context = median_of(m.tokens_context),
            .tokens_written = median_of(m.tokens_written),
            .saved = saved(m),
            .joules = m.joules.empty() ? std::nullopt : std::optional(median(m.joules)),
            .decode_tokens_per_s = decode_tokens_per_s(m),
            .n_checked = m.n_checked,
            .equal_first_lines = m.equal_first_lines,
            .equal_tokens = m.equal_tokens,
            .peak_memory_bytes = m.peak_memory_bytes};
}

size_t workload_rank(std::string_view name) {
    return static_cast<size_t>(std::ranges::find(workloads(), name, &Workload::name) - workloads().begin());
}

size_t system_rank(std::string_view name) {
    return static_cast<size_t>(std::ranges::find(serving_systems(), name, &ServingSystem::name) -
                               serving_systems().begin());
}

auto place_of(const RunConditions& conditions, int32_t context, size_t rank) {
    return std::tuple(conditions.model, conditions.fingerprint, conditions.machine, conditions.n_threads,
                      context, rank);
}

// Step by step, so that the ratio is not one of different steps.
std::optional<Quantiles> over_limit(const std::vector<double>& ours, const std::vector<double>& limit) {
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(ours.size(), limit.size()); ++i) {
        if (limit[i] > 0) {
            ratios.push_back(ours[i] / limit[i]);
        }
    }
    return ratios.empty() ? std::nullopt : std::optional(quantiles_of(ratios));
}

enum class Asked { anyhow, as_used };

bool counts(const SystemSummary& other, Asked asked) {
    const size_t rank = system_rank(other.system);
    return other.system != our_system && other.n_steps > 0 && rank < serving_systems().size() &&
           (asked == Asked::anyhow || serving_systems()[rank].order == FillOrder::prefix_first);
}

// The quickest of the others at either quantile, over ours.
std::optional<Quantiles> sooner(const ServingCell& cell, const SystemSummary& ours, Asked asked) {
    std::optional<Quantiles> least;
    for (const SystemSummary& other : cell.systems) {
        if (counts(other, asked)) {
            const Quantiles& times = other.first_ms;
            least =
                least ? Quantiles{std::min(least->p50, times.p50), std::min(least->p99, times.p99)} : times;
        }
    }
    return least ? std::optional(Quantiles{least->p50 / ours.first_ms.p50, least->p99 / ours.first_ms.p99})
                 : std::nullopt;
}

void fill_ratios(ServingCell& cell) {
    const SystemSummary* best = nullptr;
    for (const SystemSummary& other : cell.systems) {
        if (counts(other, Asked::anyhow) && (best == nullptr || other.first_ms.p50 < best->first_ms.p50)) {
            best = &other;
        }
    }
    cell.best = best == nullptr ? "" : best->system;
    if (const SystemSummary* ours = find_system(cell, our_system)) {
        cell.sooner = sooner(cell, *ours, Asked::anyhow);
        cell.sooner_as_used = sooner(cell, *ours, Asked::as_used);
    }
}

// What a cell was measured on, and the times that have to be looked at together.
struct CellOrigin {
    std::string document;
    int32_t n_steps = 0;
    std::vector<double> ours_ms;
    std::vector<double> limit_ms;
};

} // namespace

std::string cell_name(const ServingCell& cell) {
    return fmt::format("{} at {} tokens", cell.workload, cell.context);
}

const SystemSummary* find_system(const ServingCell& cell, std::string_view name) {
    const auto found = std::ranges::find(cell.systems, name, &SystemSummary::system);
    return found == cell.systems.end() || found->n_steps == 0 ? nullptr : &*found;
}

Quantiles quantiles_of(const std::vector<double>& values) {
    return {median(values), quantile(values, 0.99)};
}

std::vector<ServingCell> summarise_serving(std::span<const ServingMeasurement> measurements) {
    std::vector<ServingCell> cells;
    std::vector<CellOrigin> origins; // of the cells
    for (const ServingMeasurement& m : measurements) {
        const auto place = place_of(m.conditions, m.context, workload_rank(m.workload));
        auto found = std::ranges::find_if(cells, [&](const ServingCell& cell) {
            return place_of(cell.conditions, cell.context, workload_rank(cell.workload)) == place;
        });
        if (found == cells.end()) {
            found = cells.insert(cells.end(), ServingCell{});
            origins.emplace_back();
        }
        auto& origin = origins[static_cast<size_t>(found - cells.begin())];
        if (found->conditions != m.conditions || origin.document != m.document ||
            origin.n_steps != m.n_steps) {
            *found = ServingCell{};
            found->conditions = m.conditions;
            found->workload = m.workload;
            found->context = m.context;
            origin = {m.document, m.n_steps, {}, {}};
        }
        std::erase_if(found->systems, [&m](const SystemSummary& s) { return s.system == m.system; });
        found->systems.push_back(summary_of(m));
        if (m.system == our_system) {
            origin.ours_ms = m.first_ms;
        } else if (m.system == limit_system) {
            origin.limit_ms = m.first_ms;
        }
    }
    for (size_t i = 0; i < cells.size(); ++i) {
        cells[i].over_limit = over_limit(origins[i].ours_ms, origins[i].limit_ms);
    }
    for (ServingCell& cell : cells) {
        std::ranges::stable_sort(cell.systems, {},
                                 [](const SystemSummary& s) { return system_rank(s.system); });
        fill_ratios(cell);
    }
    std::ranges::stable_sort(cells, {}, [](const ServingCell& cell) {
        return place_of(cell.conditions, cell.context, workload_rank(cell.workload));
    });
    return cells;
}

std::vector<RatioChange> compare_serving(std::span<const ServingCell> before,
                                         std::span<const ServingCell> after, double tolerance) {
    std::vector<RatioChange> changes;
    for (const ServingCell& cell : after) {
        const auto old = std::ranges::find_if(before, [&cell](const ServingCell& other) {
            return other.conditions.fingerprint == cell.conditions.fingerprint &&
                   other.conditions.n_threads == cell.conditions.n_threads && other.context == cell.context &&
                   other.workload == cell.workload;
        });
        if (old != before.end() && old->sooner && cell.sooner) {
            changes.push_back({.name = fmt::format("{} of {}", cell_name(cell), cell.conditions.model),
                               .before = old->sooner->p50,
                               .after = cell.sooner->p50,
                               .fell = cell.sooner->p50 < old->sooner->p50 * (1 - tolerance)});
        }
    }
    return changes;
}

} // namespace pie
