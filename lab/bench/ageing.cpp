#include "bench/ageing.h"

#include "eval/source_tree.h"

#include <utility>

namespace pie {

Ageing::Ageing(const SourceDocument& document)
    : lines_(document.lines), cursor_line_(line_at(lines_, cursor_place)) {}

void Ageing::edit() {
    if (cut_) {
        const size_t line = random_.below(lines_.size() + 1);
        lines_.insert(lines_.begin() + static_cast<std::ptrdiff_t>(line), *std::exchange(cut_, {}));
        cursor_line_ += line <= cursor_line_ ? 1 : 0;
        return;
    }
    size_t line = random_.below(lines_.size() - 1);
    line += line >= cursor_line_ ? 1 : 0;
    const auto place = lines_.begin() + static_cast<std::ptrdiff_t>(line);
    cut_ = std::move(*place);
    lines_.erase(place);
    cursor_line_ -= line < cursor_line_ ? 1 : 0;
}

DocumentState Ageing::state() const {
    return {joined(lines_), line_end(lines_, cursor_line_)};
}

} // namespace pie
