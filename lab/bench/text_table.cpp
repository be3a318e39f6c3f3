#include "bench/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace pie {

std::string markdown_table(std::span<const TableRow> rows) {
    std::vector<size_t> widths(rows.front().size(), 3);
    for (const TableRow& row : rows) {
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

std::string table_number(double value) {
    return value < 100 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string table_number(const std::optional<double>& value) {
    return value ? table_number(*value) : "-";
}

} // namespace pie
