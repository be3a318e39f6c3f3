#pragma once

// Tables in Markdown whose columns are aligned, so that they can be read as they are.
//
// Thread rule: pure functions.

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pie {

using TableRow = std::vector<std::string>;

// The first row is the header; all are of its length.
std::string markdown_table(std::span<const TableRow> rows);

// "12.3", "123".
std::string table_number(double value);
// "-" where there is none.
std::string table_number(const std::optional<double>& value);

} // namespace pie
