#pragma once

// A document as its lines, each with its line break, and places in it. eval/source_tree.h joins them.
//
// Thread rule: pure functions.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

using Lines = std::vector<std::string>;

size_t bytes_before(const Lines& lines, size_t line);

// The line that such a share of the bytes leads into.
size_t line_at(const Lines& lines, double place);

// The byte before its break.
size_t line_end(const Lines& lines, size_t line);

std::string indent_of(std::string_view line);
// Between indent and break.
std::string content_of(std::string_view line);

} // namespace pie
