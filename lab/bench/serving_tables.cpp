#include "bench/serving_tables.h"

#include "base/units.h"
#include "bench/serving_curves.h"
#include "bench/serving_figures.h"
#include "bench/serving_systems.h"
#include "bench/text_table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace pie {
namespace {

using OrderedJson = nlohmann::ordered_json;
using Row = TableRow;

std::string both(const std::optional<Quantiles>& quantiles) {
    return quantiles ? fmt::format("{} / {}", table_number(quantiles->p50), table_number(quantiles->p99))
                     : "-";
}

std::string percent(double share, int decimals) {
    return fmt::format("{:.{}f} %", 100 * share, decimals);
}

std::string times_table(std::span<const ServingCell> cells) {
    Row header = {"context", "workload", "steps"};
    for (const ServingSystem& system : serving_systems()) {
        header.emplace_back(system.name);
    }
    header.insert(header.end(),
                  {"limit", "pie / limit", "p99 / p50", "saved", "sooner than in editors", "than the best"});
    std::vector<Row> rows = {header};
    for (const ServingCell& cell : cells) {
        const SystemSummary* ours = find_system(cell, our_system);
        Row row = {std::to_string(cell.context), cell.workload,
                   std::to_string(ours == nullptr ? 0 : ours->n_steps)};
        for (const ServingSystem& system : serving_systems()) {
            const SystemSummary* summary = find_system(cell, system.name);
            row.push_back(summary == nullptr ? "-" : both(summary->first_ms));
        }
        const SystemSummary* limit = find_system(cell, limit_system);
        row.push_back(limit == nullptr ? "-" : both(limit->first_ms));
        row.push_back(cell.over_limit
                          ? fmt::format("{:.2f} / {:.2f}", cell.over_limit->p50, cell.over_limit->p99)
                          : "-");
        row.push_back(ours == nullptr ? "-" : fmt::format("{:.2f}", ours->first_ms.p99 / ours->first_ms.p50));
        row.push_back(ours == nullptr ? "-" : percent(ours->saved, 1));
        row.push_back(both(cell.sooner_as_used));
        row.push_back(both(cell.sooner));
        rows.push_back(std::move(row));
    }
    return markdown_table(rows);
}

std::string detail_table(std::span<const ServingCell> cells) {
    std::vector<Row> rows = {{"context", "workload", "system", "encoded", "of", "prompt ms", "completion ms",
                              "written", "tokens/s", "joules", "checked", "equal lines", "equal tokens",
                              "peak memory"}};
    for (const ServingCell& cell : cells) {
        for (const SystemSummary& s : cell.systems) {
            if (s.system == limit_system) {
                continue;
            }
            const bool checked = s.n_checked > 0;
            rows.push_back({std::to_string(cell.context), cell.workload, s.system,
                            fmt::format("{:.0f}", s.tokens_encoded), fmt::format("{:.0f}", s.tokens_context),
                            table_number(s.prompt_ms), both(s.total_ms),
                            fmt::format("{:.0f}", s.tokens_written), table_number(s.decode_tokens_per_s),
                            s.joules ? table_number(*s.joules) : "not told", std::to_string(s.n_checked),
                            checked ? percent(s.equal_first_lines, 0) : "-",
                            checked ? percent(s.equal_tokens, 0) : "-", format_bytes(s.peak_memory_bytes)});
        }
    }
    return markdown_table(rows);
}

OrderedJson quantiles_json(const Quantiles& quantiles) {
    return {{"p50", quantiles.p50}, {"p99", quantiles.p99}};
}

OrderedJson optional_json(const std::optional<double>& value) {
    return value ? OrderedJson(*value) : OrderedJson();
}

OrderedJson optional_json(const std::optional<Quantiles>& value) {
    return value ? quantiles_json(*value) : OrderedJson();
}

} // namespace

std::string serving_tables(std::span<const ServingCell> cells) {
    std::string text;
    while (!cells.empty()) {
        const RunConditions& first = cells.front().conditions;
        const auto end = std::ranges::find_if(cells, [&first](const ServingCell& cell) {
            return std::tie(cell.conditions.model, cell.conditions.fingerprint, cell.conditions.machine,
                            cell.conditions.n_threads) !=
                   std::tie(first.model, first.fingerprint, first.machine, first.n_threads);
        });
        const auto block = cells.first(static_cast<size_t>(end - cells.begin()));
        cells = cells.subspan(block.size());
        text += fmt::format("{}, {} threads, {}; pie {}, llama-server {}\n\n", first.model, first.n_threads,
                            first.machine, first.commit, first.llama_server);
        text += fmt::format("Edit to first token, ms (p50 / p99):\n\n{}\n", times_table(block));
        text += curve_tables(block);
        text += fmt::format("What it took; completions are of {} tokens at most (p50 / p99):\n\n{}\n",
                            first.n_predict, detail_table(block));
        text += fmt::format("Figures; the worst workload and context of those that were measured:\n\n{}\n",
                            figures_table(block));
    }
    return text;
}

std::string serving_lines(std::span<const ServingCell> cells) {
    std::string lines;
    for (const ServingCell& cell : cells) {
        OrderedJson object = {{"model", cell.conditions.model},   {"threads", cell.conditions.n_threads},
                              {"commit", cell.conditions.commit}, {"context", cell.context},
                              {"workload", cell.workload},        {"best", cell.best}};
        object["sooner"] = optional_json(cell.sooner);
        object["sooner_as_used"] = optional_json(cell.sooner_as_used);
        object["over_limit"] = optional_json(cell.over_limit);
        for (const SystemSummary& s : cell.systems) {
            OrderedJson& system = object["systems"][s.system];
            system["steps"] = s.n_steps;
            system["first_ms"] = quantiles_json(s.first_ms);
            if (s.system == limit_system) {
                continue;
            }
            system["completion_ms"] = quantiles_json(s.total_ms);
            system["prompt_ms"] = s.prompt_ms;
            system["tokens_encoded"] = s.tokens_encoded;
            system["tokens_context"] = s.tokens_context;
            system["tokens_written"] = s.tokens_written;
            system["saved"] = s.saved;
            system["decode_tokens_per_s"] = s.decode_tokens_per_s;
            system["joules"] = optional_json(s.joules);
            system["checked"] = s.n_checked;
            system["equal_first_lines"] = s.equal_first_lines;
            system["equal_tokens"] = s.equal_tokens;
            system["peak_memory_bytes"] = s.peak_memory_bytes;
        }
        lines += object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
    }
    return lines;
}

} // namespace pie
