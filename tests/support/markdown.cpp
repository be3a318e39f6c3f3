#include "support/markdown.h"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace pie::testing {
namespace {

std::vector<std::string> spans_of(const std::string& line) {
    std::vector<std::string> spans;
    for (size_t begin = line.find('`'); begin != std::string::npos;) {
        const size_t end = line.find('`', begin + 1);
        if (end == std::string::npos) {
            break;
        }
        spans.push_back(line.substr(begin + 1, end - begin - 1));
        begin = line.find('`', end + 1);
    }
    return spans;
}

std::vector<std::filesystem::path> documents_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        if (file.path().extension() == ".md") {
            paths.push_back(file.path());
        }
    }
    return paths;
}

} // namespace

MarkdownCode code_in_markdown(const std::filesystem::path& path) {
    std::ifstream text(path);
    if (!text) {
        throw std::runtime_error("cannot read " + path.string());
    }
    MarkdownCode code;
    bool is_fenced = false;
    bool goes_on = false;
    for (std::string line; std::getline(text, line);) {
        if (line.starts_with("```")) {
            is_fenced = !is_fenced;
        } else if (!is_fenced) {
            code.spans.push_back(spans_of(line));
        } else {
            const bool ends_open = line.ends_with('\\');
            if (ends_open) {
                line.pop_back();
            }
            if (std::exchange(goes_on, ends_open)) {
                code.lines.back() += line;
            } else {
                code.lines.push_back(std::move(line));
            }
        }
    }
    return code;
}

std::vector<std::filesystem::path> documents(const std::filesystem::path& project) {
    std::vector<std::filesystem::path> paths = documents_in(project / "docs");
    paths.push_back(project / "README.md");
    return paths;
}

std::vector<std::filesystem::path> lab_documents(const std::filesystem::path& project) {
    return documents_in(project / "docs" / "lab");
}

} // namespace pie::testing
