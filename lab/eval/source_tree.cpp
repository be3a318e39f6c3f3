#include "eval/source_tree.h"

#include "base/files.h"
#include "base/interrupt.h"
#include "eval/rows.h"
#include "text/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <system_error>

namespace pie {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t tree_bytes_max = 512'000'000;

const std::vector<Language>& languages() {
    static const std::vector<Language> all = {
        {"python", {".py"}},
        {"java", {".java"}},
        {"c", {".c", ".h"}},
        {"cpp", {".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"}},
        {"csharp", {".cs"}},
        {"go", {".go"}},
        {"rust", {".rs"}},
        {"javascript", {".js", ".mjs", ".jsx"}},
        {"typescript", {".ts", ".tsx"}},
        {"kotlin", {".kt"}},
        {"swift", {".swift"}},
        {"ruby", {".rb"}},
        {"lua", {".lua"}},
        {"shell", {".sh", ".bash"}},
    };
    return all;
}

// Words that languages reserve, and names so built in that nobody renames them.
const std::set<std::string_view>& reserved_words() {
    static const std::set<std::string_view> words = {
        "False",      "None",     "True",      "abstract", "and",       "assert",    "async",      "auto",
        "await",      "bool",     "boolean",   "break",    "byte",      "case",      "catch",      "char",
        "class",      "const",    "constexpr", "continue", "def",       "default",   "define",     "del",
        "delete",     "dict",     "double",    "elif",     "else",      "end",       "endif",      "enum",
        "except",     "explicit", "export",    "extends",  "extern",    "false",     "final",      "finally",
        "float",      "for",      "from",      "func",     "function",  "global",    "goto",       "ifdef",
        "implements", "import",   "include",   "inline",   "int",       "interface", "isinstance", "lambda",
        "len",        "let",      "list",      "local",    "long",      "match",     "module",     "mut",
        "namespace",  "new",      "nil",       "noexcept", "nonlocal",  "not",       "null",       "nullptr",
        "operator",   "override", "package",   "pass",     "print",     "private",   "protected",  "pub",
        "public",     "raise",    "range",     "require",  "return",    "self",      "short",      "signed",
        "sizeof",     "static",   "std",       "str",      "string",    "struct",    "super",      "switch",
        "template",   "then",     "this",      "throw",    "throws",    "true",      "try",        "tuple",
        "type",       "typedef",  "typename",  "typeof",   "undefined", "union",     "unsigned",   "use",
        "using",      "var",      "virtual",   "void",     "volatile",  "while",     "with",       "yield"};
    return words;
}

bool is_word_byte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '_' || byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

bool is_hidden(const fs::path& path) {
    return path.filename().native().starts_with('.');
}

// Paths of all source files below the folder, in no order.
Result<std::vector<fs::path>> find_sources(const fs::path& folder) {
    const auto failed = [&folder](const std::error_code& error) {
        return tl::unexpected(file_error("read", folder, error.value()));
    };
    std::vector<fs::path> paths;
    std::error_code error;
    fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
    if (error) {
        return failed(error);
    }
    for (; entry != fs::recursive_directory_iterator(); entry.increment(error)) {
        if (interrupted()) {
            return fail_interrupted("nothing was written");
        }
        const fs::file_status status = entry->symlink_status(error);
        if (fs::is_directory(status) && is_hidden(entry->path())) {
            entry.disable_recursion_pending();
        } else if (fs::is_regular_file(status) && !is_hidden(entry->path()) && language_of(entry->path())) {
            paths.push_back(entry->path());
        }
    }
    // A failed increment ends the walk, too.
    if (error) {
        return failed(error);
    }
    return paths;
}

bool holds_marker(std::string_view text) {
    return std::ranges::any_of(
        row_markers, [text](std::string_view marker) { return text.find(marker) != std::string_view::npos; });
}

} // namespace

const Language* language_of(const fs::path& path) {
    const std::string extension = path.extension().string();
    for (const Language& language : languages()) {
        if (std::ranges::find(language.extensions, extension) != language.extensions.end()) {
            return &language;
        }
    }
    return nullptr;
}

std::vector<std::string> split_lines(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
        lines.emplace_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    if (!lines.empty() && !lines.back().ends_with('\n')) {
        lines.back() += '\n';
    }
    return lines;
}

std::string joined(std::span<const std::string> lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line;
    }
    return text;
}

std::string_view trimmed(std::string_view line) {
    constexpr std::string_view space = " \t\r\n\f\v";
    line.remove_prefix(std::min(line.find_first_not_of(space), line.size()));
    return line.substr(0, line.find_last_not_of(space) + 1);
}

std::vector<std::string_view> identifiers(std::string_view line) {
    constexpr size_t length_min = 3;
    std::vector<std::string_view> found;
    for (size_t begin = 0; begin < line.size();) {
        if (!is_word_byte(line[begin])) {
            ++begin;
            continue;
        }
        size_t end = begin;
        while (end < line.size() && is_word_byte(line[end])) {
            ++end;
        }
        const std::string_view word = line.substr(begin, end - begin);
        const bool is_number = word.front() >= '0' && word.front() <= '9';
        if (word.size() >= length_min && !is_number && !reserved_words().contains(word)) {
            found.push_back(word);
        }
        begin = end;
    }
    return found;
}

Result<SourceTree> read_source_tree(const fs::path& folder) {
    PIE_ASSIGN(std::vector<fs::path> paths, find_sources(folder));
    std::ranges::sort(paths);
    SourceTree tree;
    uint64_t bytes = 0;
    for (const fs::path& path : paths) {
        if (interrupted()) {
            return fail_interrupted("nothing was written");
        }
        const auto document = Document::open(path);
        if (!document || holds_marker(document->text())) {
            ++tree.n_skipped;
            continue;
        }
        bytes += document->text().size();
        if (bytes > tree_bytes_max) {
            return fail(ErrorCode::too_large,
                        fmt::format("'{}' holds more than {} MB of source files; give a folder below it",
                                    folder.string(), tree_bytes_max / 1'000'000));
        }
        tree.files.push_back({path.lexically_relative(folder).generic_string(), language_of(path),
                              split_lines(document->text())});
    }
    if (tree.files.empty()) {
        return fail(ErrorCode::not_found,
                    fmt::format("there is no source file of a known language in '{}'", folder.string()));
    }
    return tree;
}

} // namespace pie
