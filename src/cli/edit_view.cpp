#include "cli/edit_view.h"

#include "cli/terminal.h"
#include "cli/work_report.h"
#include "text/line_diff.h"

#include <fmt/format.h>

namespace pie {
namespace {

constexpr size_t context_line_count = 1;

std::string shown(const DiffLine& line) {
    const std::string text = printable_code(line.text);
    switch (line.change) {
    case LineChange::removed:
        return coloured(Stream::out, Colour::red, "- " + text);
    case LineChange::added:
        return coloured(Stream::out, Colour::green, "+ " + text);
    case LineChange::kept:
        break;
    }
    return coloured(Stream::out, Colour::dim, "  " + text);
}

} // namespace

std::string edit_view(std::string_view before, std::string_view after) {
    std::string view;
    for (const DiffHunk& hunk : line_diff(before, after, context_line_count)) {
        view += coloured(Stream::out, Colour::cyan, fmt::format("  line {}", hunk.after_begin.value + 1));
        view += '\n';
        for (const DiffLine& line : hunk.lines) {
            view += "  " + shown(line) + '\n';
        }
    }
    return view;
}

std::string completion_view(std::string_view line_before_cursor, std::string_view completion,
                            int line_count_max) {
    std::string view = "    " + coloured(Stream::out, Colour::dim, printable_code(line_before_cursor));
    int lines = 0;
    for (size_t begin = 0; begin <= completion.size() && lines < line_count_max; ++lines) {
        const size_t end = std::min(completion.find('\n', begin), completion.size());
        if (lines > 0) {
            view += "\n    ";
        }
        view += coloured(Stream::out, Colour::bold, printable_code(completion.substr(begin, end - begin)));
        begin = end + 1;
    }
    return view + '\n';
}

} // namespace pie
