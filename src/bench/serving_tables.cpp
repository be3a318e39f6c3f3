#include "bench/serving_tables.h"

#include "base/units.h"
#include "bench/serving_systems.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace pie {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string number(double value) {
    return value < 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string number(const std::optional<double>& value) {
    return value ? number(*value) : "-";
}

std::string both(const Quantiles& quantiles) {
    return fmt::format("{} / {}", number(quantiles.p50), number(quantiles.p99));
}

// The first row is the header.
std::string markdown(const std::vector<Row>& rows) {
    std::vector<size_t> widths(rows.front().size(), 3);
    for (const Row& row : rows) {
        for (size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string text;
    for (size_t r = 0; r < rows.size(); ++r) {
        for (size_t i = 0; i < widths.size(); ++i) {
            text += fmt::format("| {:<{}} ", rows[r][i], widths[i]);
        }
        text += "|\n";
        if (r == 0) {
            for (const size_t width : widths) {
                text += fmt::format("|{:-<{}}", "", width + 2);
            }
            text += "|\n";
        }
    }
    return text;
}

std::string times_table(std::span<const ServingCell> cells) {
    Row header = {"context", "workload", "steps"};
    for (const ServingSystem& system : serving_systems()) {
        header.emplace_back(system.name);
    }
    header.insert(header.end(), {"limit", "pie / limit", "sooner p50", "sooner p99"});
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
        row.push_back(cell.over_limit ? fmt::format("{:.2f}", *cell.over_limit) : "-");
        row.push_back(number(cell.sooner_p50));
        row.push_back(number(cell.sooner_p99));
        rows.push_back(std::move(row));
    }
    return markdown(rows);
}

std::string detail_table(std::span<const ServingCell> cells) {
    std::vector<Row> rows = {{"context", "workload", "system", "encoded", "of", "prompt ms", "completion ms",
                              "written", "checked", "equal lines", "equal tokens", "peak memory"}};
    for (const ServingCell& cell : cells) {
        for (const SystemSummary& s : cell.systems) {
            if (s.system == limit_system) {
                continue;
            }
            const bool checked = s.n_checked > 0;
            rows.push_back({std::to_string(cell.context), cell.workload, s.system,
                            fmt::format("{:.0f}", s.tokens_encoded), fmt::format("{:.0f}", s.tokens_context),
                            number(s.prompt_ms), both(s.total_ms), fmt::format("{:.0f}", s.tokens_written),
                            std::to_string(s.n_checked),
                            checked ? fmt::format("{:.0f} %", 100 * s.equal_first_lines) : "-",
                            checked ? fmt::format("{:.0f} %", 100 * s.equal_tokens) : "-",
                            format_bytes(s.peak_memory_bytes)});
        }
    }
    return markdown(rows);
}

Json quantiles_json(const Quantiles& quantiles) {
    return {{"p50", quantiles.p50}, {"p99", quantiles.p99}};
}

Json optional_json(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
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
        text += fmt::format("What it took; completions are of {} tokens at most (p50 / p99):\n\n{}\n",
                            first.n_predict, detail_table(block));
    }
    return text;
}

std::string serving_lines(std::span<const ServingCell> cells) {
    std::string lines;
    for (const ServingCell& cell : cells) {
        Json object = {{"model", cell.conditions.model},   {"threads", cell.conditions.n_threads},
                       {"commit", cell.conditions.commit}, {"context", cell.context},
                       {"workload", cell.workload},        {"best", cell.best}};
        object["sooner_p50"] = optional_json(cell.sooner_p50);
        object["sooner_p99"] = optional_json(cell.sooner_p99);
        object["over_limit"] = optional_json(cell.over_limit);
        for (const SystemSummary& s : cell.systems) {
            Json& system = object["systems"][s.system];
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
            system["checked"] = s.n_checked;
            system["equal_first_lines"] = s.equal_first_lines;
            system["equal_tokens"] = s.equal_tokens;
            system["peak_memory_bytes"] = s.peak_memory_bytes;
        }
        lines += object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return lines;
}

} // namespace pie
