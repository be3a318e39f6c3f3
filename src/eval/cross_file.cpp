#include "eval/cross_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>

namespace pie {
namespace {

constexpr size_t definition_lines_max = 40;

bool begins_import(std::string_view line, const Language& language) {
    const std::string_view text = trimmed(line);
    if (language.name == "c" || language.name == "cpp") {
        return text.starts_with("#include");
    }
    if (language.name == "python") {
        return text.starts_with("import ") ||
               (text.starts_with("from ") && text.find(" import") != text.npos);
    }
    return text.starts_with("import ");
}

// Words that stand before the name of what is defined.
bool introduces_definition(std::string_view word) {
    constexpr std::array<std::string_view, 7> words = {"class",  "def",  "interface", "enum",
                                                       "struct", "func", "function"};
    return std::ranges::find(words, word) != words.end();
}

std::vector<std::string_view> all_words(std::string_view line) {
    constexpr std::string_view separators = " \t\r\n(){}<>:;,.=&*\"";
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const size_t begin = std::min(line.find_first_not_of(separators), line.size());
        line.remove_prefix(begin);
        const std::string_view word = line.substr(0, line.find_first_of(separators));
        if (!word.empty()) {
            words.push_back(word);
        }
        line.remove_prefix(word.size());
    }
    return words;
}

// The name that a line at the left margin defines; empty if it defines none.
std::string_view defined_name(std::string_view line) {
    if (line.empty() || line.front() == ' ' || line.front() == '\t' || trimmed(line).ends_with(';')) {
        return {};
    }
    const std::vector<std::string_view> words = all_words(line);
    const auto introduced = std::ranges::find_if(words, introduces_definition);
    return introduced == words.end() || introduced + 1 == words.end() ? std::string_view()
                                                                      : *(introduced + 1);
}

// Indented lines and blank ones belong to the definition, and a line that closes it.
LineRange definition_lines(const SourceFile& file, size_t begin) {
    size_t end = begin + 1;
    for (size_t i = end; i < file.lines.size() && i < begin + definition_lines_max; ++i) {
        const std::string& line = file.lines[i];
        const bool is_inside = trimmed(line).empty() || line.front() == ' ' || line.front() == '\t';
        const bool belongs = is_inside || line.front() == '{' || line.front() == '}' || line.front() == ')';
        if (!belongs) {
            break;
        }
        end = trimmed(line).empty() ? end : i + 1;
    }
    return {begin, end};
}

std::string file_name(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

// The name, without folders, of the file that a line includes; empty if there is none.
std::string included_file(std::string_view line) {
    const size_t begin = line.find_first_of("\"<");
    const size_t end = line.find_last_of("\">");
    return begin < end && end != line.npos ? file_name(std::string(line.substr(begin + 1, end - begin - 1)))
                                           : "";
}

// Whether the words of a statement name the file, or the folder that speaks for it.
bool names_file(const std::vector<std::string_view>& words, const SourceFile& file) {
    const std::filesystem::path path(file.path);
    const std::string stem = path.stem().string();
    const std::string folder = path.parent_path().filename().string();
    return std::ranges::any_of(words, [&](std::string_view word) { return word == stem || word == folder; });
}

} // namespace

std::vector<bool> import_lines(const SourceFile& file) {
    std::vector<bool> imports;
    bool open = false; // a list in brackets goes on
    for (const std::string& line : file.lines) {
        const bool begins = !open && begins_import(line, *file.language);
        imports.push_back(begins || open);
        if (begins || open) {
            const bool opens = begins && line.find('(') != std::string::npos;
            open = (open || opens) && line.find(')') == std::string::npos;
        }
    }
    return imports;
}

DefinitionIndex::DefinitionIndex(const SourceTree& tree) {
    for (const SourceFile& file : tree.files) {
        for (size_t i = 0; i < file.lines.size(); ++i) {
            if (const std::string_view name = defined_name(file.lines[i]); !name.empty()) {
                const Definition definition{name, &file, definition_lines(file, i)};
                by_name_.emplace(name, definition);
                by_file_name_[file_name(file.path)].push_back(definition);
            }
        }
    }
}

std::vector<Definition> DefinitionIndex::imported(const SourceFile& file) const {
    const bool includes_text = file.language->name == "c" || file.language->name == "cpp";
    std::vector<Definition> found;
    const auto add = [&](const Definition& definition) {
        const bool is_known =
            std::ranges::any_of(found, [&](const Definition& d) { return d.name == definition.name; });
        // C++ includes headers that look like C's.
        const bool same_language = includes_text || definition.file->language == file.language;
        if (!is_known && definition.file != &file && same_language) {
            found.push_back(definition);
        }
    };
    const std::vector<bool> imports = import_lines(file);
    std::vector<std::string_view> statement;
    for (size_t i = 0; i < file.lines.size(); ++i) {
        if (!imports[i]) {
            continue;
        }
        if (begins_import(file.lines[i], *file.language)) {
            statement.clear();
        }
        const std::vector<std::string_view> words = all_words(file.lines[i]);
        statement.insert(statement.end(), words.begin(), words.end());
        if (includes_text) {
            const auto included = by_file_name_.find(included_file(file.lines[i]));
            if (included != by_file_name_.end()) {
                std::ranges::for_each(included->second, add);
            }
            continue;
        }
        for (const std::string_view word : words) {
            const auto [first, last] = by_name_.equal_range(word);
            for (auto known = first; known != last; ++known) {
                if (names_file(statement, *known->second.file)) {
                    add(known->second);
                }
            }
        }
    }
    return found;
}

} // namespace pie
