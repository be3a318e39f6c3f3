#pragma once

// How one text differs from another, for a person to read: hunks of kept, removed and added lines, as in a
// unified diff; and where a place in the newer text was in the older one.
//
// Pure functions; any thread may call. Results view the texts, which must outlive them.

#include <pie/types.h>

#include <string_view>
#include <vector>

namespace pie {

enum class LineChange { kept, removed, added };

struct DiffLine {
    LineChange change;
    std::string_view text; // without its line break

    bool operator==(const DiffLine&) const = default;
};

// Changed lines and some kept ones around them. A range of no lines begins at the line that it stands before.
struct DiffHunk {
    LineIndex before_begin;
    size_t before_line_count = 0;
    LineIndex after_begin;
    size_t after_line_count = 0;
    std::vector<DiffLine> lines; // of each change the removed ones first
};

// In ascending order, `context_line_count` kept lines on either side of each change; empty where the texts
// are equal. Lines that differ only in their line break differ.
std::vector<DiffHunk> line_diff(std::string_view before, std::string_view after,
                                size_t context_line_count = 3);

// The place in `before` that corresponds to `place` in `after`: in front of the text that follows the place,
// where that was kept, else behind the kept text that precedes it. So a place within inserted text becomes
// the one where that text was inserted. Both texts are valid UTF-8 and `place` is inside `after`.
ByteOffset map_back(std::string_view before, std::string_view after, ByteOffset place);

} // namespace pie
