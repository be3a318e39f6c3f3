#include "bench/document_lines.h"

#include <algorithm>

namespace pie {

size_t bytes_before(const Lines& lines, size_t line) {
    size_t n = 0;
    for (size_t i = 0; i < line; ++i) {
        n += lines[i].size();
    }
    return n;
}

size_t line_at(const Lines& lines, double place) {
    const auto offset = static_cast<size_t>(place * static_cast<double>(bytes_before(lines, lines.size())));
    size_t line = 0;
    for (size_t n = lines[0].size(); n <= offset && line + 1 < lines.size(); n += lines[line].size()) {
        ++line;
    }
    return line;
}

size_t line_end(const Lines& lines, size_t line) {
    return bytes_before(lines, line + 1) - 1;
}

std::string indent_of(std::string_view line) {
    return std::string(line.substr(0, std::min(line.find_first_not_of(" \t\n"), line.size() - 1)));
}

std::string content_of(std::string_view line) {
    const size_t n_indent = indent_of(line).size();
    return std::string(line.substr(n_indent, line.size() - 1 - n_indent));
}

} // namespace pie
