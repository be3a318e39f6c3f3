#include "text/fences.h"

#include <algorithm>
#include <array>

namespace pie {

bool has_fences(std::string_view text) {
    for (size_t at = text.find("```"); at != std::string_view::npos; at = text.find("```", at + 1)) {
        const size_t before = text.substr(0, at).find_last_not_of(" \t");
        if (before == std::string_view::npos || text[before] == '\n') {
            return true;
        }
    }
    return false;
}

bool is_markdown(std::string_view file_name) {
    constexpr std::array<std::string_view, 6> endings = {".md", ".markdown", ".mdx", ".qmd", ".rmd", ".Rmd"};
    return std::ranges::any_of(endings, [&](std::string_view ending) { return file_name.ends_with(ending); });
}

} // namespace pie
