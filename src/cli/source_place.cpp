#include "cli/source_place.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace pie {
namespace {

std::optional<size_t> parse_count(std::string_view digits) {
    size_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value == 0) {
        return std::nullopt;
    }
    return value;
}

// "a:b" -> a and b; b is what stands behind the last colon.
std::optional<std::pair<std::string_view, std::string_view>> split_last(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

std::optional<LineColumn> line_column(std::string_view line, std::string_view column) {
    const auto line_number = parse_count(line);
    const auto column_number = parse_count(column);
    if (!line_number || !column_number) {
        return std::nullopt;
    }
    return LineColumn{*line_number, *column_number};
}

} // namespace

Result<LineColumn> parse_line_column(std::string_view argument) {
    if (const auto parts = split_last(argument)) {
        if (const auto place = line_column(parts->first, parts->second)) {
            return *place;
        }
    }
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is no place in a text; give LINE:COL, both from 1, such as 12:5", argument));
}

Result<SourcePlace> parse_source_place(std::string_view argument) {
    // From the right, since a file's name may hold colons too.
    if (const auto tail = split_last(argument)) {
        if (const auto head = split_last(tail->first)) {
            const auto place = line_column(head->second, tail->second);
            if (place && !head->first.empty()) {
                return SourcePlace{std::string(head->first), *place};
            }
        }
    }
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("'{}' is no place in a file; give FILE:LINE:COL, such as main.py:12:5", argument));
}

} // namespace pie
