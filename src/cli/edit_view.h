#pragma once

// An edit as a person reads it: the changed lines with a little around them, removed ones red, added ones
// green, and the cursor's place.

#include <string>
#include <string_view>

namespace pie {

// For standard output; ends with a line break. Empty where the texts are equal.
std::string edit_view(std::string_view before, std::string_view after);

// A completion at the end of the cursor's line: what stands before it dim, what was written highlighted, at
// most `line_count_max` lines.
std::string completion_view(std::string_view line_before_cursor, std::string_view completion,
                            int line_count_max);

} // namespace pie
