#pragma once

// Places as they are typed on a command line: LINE:COL and FILE:LINE:COL, both counted from 1.

#include "text/document.h"

#include <pie/result.h>

#include <filesystem>
#include <string_view>

namespace pie {

struct SourcePlace {
    std::filesystem::path file;
    LineColumn place;
};

// Errors: invalid_argument, with an example of the form.
Result<LineColumn> parse_line_column(std::string_view argument);
Result<SourcePlace> parse_source_place(std::string_view argument);

} // namespace pie
