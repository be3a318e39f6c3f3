#pragma once

// The code in a Markdown document, for tests that hold documentation to the program.

#include <filesystem>
#include <string>
#include <vector>

namespace pie::testing {

struct MarkdownCode {
    std::vector<std::string> lines; // of fenced blocks; those that end with a backslash with the next one
    std::vector<std::vector<std::string>> spans; // between backticks, of each line of text
};

// Throws where the file cannot be read.
MarkdownCode code_in_markdown(const std::filesystem::path& path);

// README.md and docs/*.md.
std::vector<std::filesystem::path> documents(const std::filesystem::path& project);

// docs/lab/*.md.
std::vector<std::filesystem::path> lab_documents(const std::filesystem::path& project);

} // namespace pie::testing
