#pragma once

// Lines that begin with "```": code in Markdown. Pure functions; any thread.

#include <string_view>

namespace pie {

bool has_fences(std::string_view text);

// By its ending, as in "README.md".
bool is_markdown(std::string_view file_name);

} // namespace pie
