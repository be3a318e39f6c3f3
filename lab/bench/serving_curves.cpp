#include "bench/serving_curves.h"

#include "bench/serving_systems.h"
#include "bench/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace pie {
namespace {

void add_point(std::vector<Curve>& curves, const std::string& name, std::string_view over, int32_t x,
               const ServingCell& cell) {
    auto curve = std::ranges::find_if(
        curves, [&](const Curve& other) { return other.name == name && other.over == over; });
    if (curve == curves.end()) {
        curve = curves.insert(curves.end(), {name, std::string(over), {}});
    }
    curve->points[x] = &cell;
}

std::string first_ms_of(const ServingCell& cell, std::string_view system) {
    const SystemSummary* summary = find_system(cell, system);
    return summary == nullptr ? "-" : table_number(summary->first_ms.p50);
}

TableRow header_of(const Curve& curve) {
    TableRow header = {curve.over};
    for (const auto& point : curve.points) {
        header.push_back(std::to_string(point.first));
    }
    return header;
}

TableRow row_of(const Curve& curve) {
    TableRow row = {curve.name};
    for (const auto& point : curve.points) {
        const ServingCell& cell = *point.second;
        row.push_back(fmt::format("{} / {} / {}", first_ms_of(cell, our_system),
                                  first_ms_of(cell, limit_system), first_ms_of(cell, cell.best)));
    }
    return row;
}

} // namespace

std::optional<VaryingName> varying_name(std::string_view workload) {
    constexpr std::string_view digits = "0123456789";
    const size_t begin = workload.find_first_of(digits);
    if (begin == std::string_view::npos || begin == 0 || workload[begin - 1] != '-') {
        return {};
    }
    const size_t end = std::min(workload.find_first_not_of(digits, begin), workload.size());
    int32_t n = 0;
    if ((end < workload.size() && workload[end] != '-') ||
        std::from_chars(workload.data() + begin, workload.data() + end, n).ec != std::errc()) {
        return {};
    }
    return VaryingName{fmt::format("{}N{}", workload.substr(0, begin), workload.substr(end)), n};
}

std::vector<Curve> curves_of(std::span<const ServingCell> cells) {
    std::vector<Curve> curves;
    for (const ServingCell& cell : cells) {
        add_point(curves, cell.workload, "tokens", cell.context, cell);
    }
    for (const ServingCell& cell : cells) {
        if (const auto varying = varying_name(cell.workload)) {
            add_point(curves, fmt::format("{} at {} tokens", varying->name, cell.context), "N", varying->n,
                      cell);
        }
    }
    std::erase_if(curves, [](const Curve& curve) { return curve.points.size() < 2; });
    return curves;
}

std::string curve_tables(std::span<const ServingCell> cells) {
    std::vector<std::vector<TableRow>> tables;
    for (const Curve& curve : curves_of(cells)) {
        const TableRow header = header_of(curve);
        auto table = std::ranges::find_if(
            tables, [&header](const std::vector<TableRow>& rows) { return rows.front() == header; });
        if (table == tables.end()) {
            table = tables.insert(tables.end(), {header});
        }
        table->push_back(row_of(curve));
    }
    std::string text;
    for (const std::vector<TableRow>& rows : tables) {
        text += fmt::format(
            "Edit to first token over {}, ms, p50 (pie / limit / llama-server's quickest):\n\n{}\n",
            rows.front().front() == "N" ? "N" : "the tokens of the document", markdown_table(rows));
    }
    return text;
}

} // namespace pie
