#pragma once

// The source files of a folder, as lines, and what can be told of a text without knowing its language
// (eval/syntax.h reads it by its grammar).
//
// Thread rule: immutable once read; any thread may look.

#include <pie/result.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct Language {
    std::string_view name;
    std::vector<std::string_view> extensions;
};

// By the file's extension; null if none is known.
const Language* language_of(const std::filesystem::path& path);

// Without white space at either end.
std::string_view trimmed(std::string_view line);

// Each with its line break; the last one gets one where it has none, as any line may come to stand before
// another one.
std::vector<std::string> split_lines(std::string_view text);
std::string joined(std::span<const std::string> lines);

// The names in a line that a programmer chose, from left to right, repetitions included: words of at least
// three letters that no language reserves. Views into `line`.
std::vector<std::string_view> identifiers(std::string_view line);

struct SourceFile {
    std::string path; // below the folder, with slashes
    const Language* language = nullptr;
    std::vector<std::string> lines; // each with its line break
};

struct SourceTree {
    std::vector<SourceFile> files; // by path
    size_t n_skipped = 0; // source files by their names, but binary, not UTF-8, too large or with markers
};

// Hidden files and folders are left out, symbolic links are not followed. Polls interrupted(). Errors:
// not_found, io, too_large (hundreds of megabytes), cancelled; not_found too where no source file is.
Result<SourceTree> read_source_tree(const std::filesystem::path& folder);

} // namespace pie
