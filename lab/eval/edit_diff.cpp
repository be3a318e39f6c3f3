#include "eval/edit_diff.h"

#include "text/line_diff.h"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

namespace pie {
namespace {

constexpr size_t lines_max = 16;
constexpr size_t line_bytes_max = 100;

// A character of more than one byte stays whole or is left out.
std::string_view shortened(std::string_view line) {
    if (line.size() <= line_bytes_max) {
        return line;
    }
    size_t end = line_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) {
        --end;
    }
    return line.substr(0, end);
}

char sign(LineChange change) {
    return change == LineChange::kept ? ' ' : change == LineChange::removed ? '-' : '+';
}

} // namespace

std::string edit_diff(const EvalRow& row) {
    std::string text;
    size_t n_lines = 0;
    for (const DiffHunk& hunk : line_diff(row.before, row.after, 1)) {
        for (const DiffLine& line : hunk.lines) {
            if (++n_lines <= lines_max) {
                const std::string_view shown = shortened(line.text);
                text += fmt::format("{}{}{}\n", sign(line.change), shown,
                                    shown.size() < line.text.size() ? " …" : "");
            }
        }
    }
    if (n_lines > lines_max) {
        text += fmt::format(" … {} more lines\n", n_lines - lines_max);
    }
    return text;
}

} // namespace pie
