#include "eval/repobench.h"

#include "eval/json_text.h"
#include "eval/source_tree.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace pie {
namespace {

using Json = nlohmann::json;

constexpr size_t lines_below_max = 60; // what an editor sends, about

// Four line breaks and more become two.
std::string with_few_blank_lines(std::string_view text) {
    constexpr size_t breaks_max = 3;
    std::string result;
    for (size_t i = 0; i < text.size();) {
        const size_t end = std::min(text.find_first_not_of('\n', i), text.size());
        if (end > i) {
            result.append(end - i > breaks_max ? 2 : end - i, '\n');
            i = end;
        } else {
            result += text[i++];
        }
    }
    return result;
}

std::string_view without_trailing_space(std::string_view text) {
    return text.substr(0, text.find_last_not_of(" \t\r\n\f\v") + 1);
}

std::string comment_mark(std::string_view language) {
    return language == "python" ? "#" : "//";
}

// The part of other files, without so many lines at its end that `n_excess` tokens are saved.
std::string shortened(const std::string& cross_file, size_t n_excess, const TokenCounter& count_tokens) {
    std::vector<std::string> lines = split_lines(cross_file);
    size_t saved = 0;
    while (!lines.empty() && saved <= n_excess) {
        saved += count_tokens(std::string_view(lines.back()).substr(0, lines.back().size() - 1));
        lines.pop_back();
    }
    return lines.empty() ? "\n\n" : joined(lines) + "\n";
}

Result<std::string> cross_file_part(const Json& object, const std::string& mark) {
    PIE_ASSIGN(const std::string repository, text_field(object, "repo_name"));
    std::string text = fmt::format("{} Repo Name: {}\n", mark, repository);
    for (const Json& snippet : object["context"]) {
        PIE_ASSIGN(const std::string path, text_field(snippet, "path"));
        PIE_ASSIGN(const std::string code, text_field(snippet, "snippet"));
        text += fmt::format("{} Path: {}\n{}\n\n", mark, path, code);
    }
    return text;
}

// Snippets begin with a heading and end where the next one, or the file itself, begins.
std::vector<LineRange> context_ranges(const std::vector<std::string>& lines, const std::string& mark) {
    const std::string heading = mark + " Path: ";
    std::vector<LineRange> ranges;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].starts_with(heading)) {
            if (!ranges.empty()) {
                ranges.back().end = i;
            }
            ranges.push_back({i, lines.size()});
        }
    }
    if (!ranges.empty()) {
        ranges.pop_back(); // the file's own
    }
    return ranges;
}

// What follows the target in the file, where the row holds the whole file and the cut is found in it.
std::vector<std::string> lines_below(const Json& object, std::string_view cropped,
                                     const std::string& target) {
    const auto whole = text_field(object, "all_code");
    const size_t at = whole && !cropped.empty() ? whole->find(cropped) : std::string::npos;
    const size_t next = at == std::string::npos ? at : whole->find(target, at + cropped.size());
    if (next == std::string::npos) {
        return {};
    }
    const std::string_view rest = std::string_view(*whole).substr(next + target.size());
    std::vector<std::string> lines = split_lines(rest.starts_with('\n') ? rest.substr(1) : rest);
    lines.resize(std::min(lines.size(), lines_below_max));
    return lines;
}

Result<Sample> sample_of_v11(const Json& object, const PromptLimit& limit) {
    PIE_ASSIGN(const std::string path, text_field(object, "file_path"));
    PIE_ASSIGN(const std::string imports, text_field(object, "import_statement"));
    PIE_ASSIGN(const std::string cropped, text_field(object, "cropped_code"));
    Sample sample;
    PIE_ASSIGN(sample.target, text_field(object, "next_line"));
    const Language* language = language_of(path);
    sample.language = language == nullptr ? "" : std::string(language->name);
    const std::string mark = comment_mark(sample.language);
    const std::string_view code = without_trailing_space(cropped);
    const std::string in_file = fmt::format("{} Path: {}\n{}\n{}\n", mark, path, imports, code);
    PIE_ASSIGN(std::string cross_file, cross_file_part(object, mark));
    const size_t n_tokens = limit.count_tokens(cross_file) + limit.count_tokens(in_file);
    if (n_tokens > limit.tokens_max) {
        cross_file = shortened(cross_file, n_tokens - limit.tokens_max, limit.count_tokens);
    }
    sample.above = split_lines(with_few_blank_lines(cross_file + in_file));
    sample.context = context_ranges(sample.above, mark);
    sample.below = lines_below(object, code, sample.target);
    return sample;
}

Result<Sample> sample_of_v0(const Json& object) {
    PIE_ASSIGN(const std::string context, text_field(object, "context"));
    PIE_ASSIGN(const std::string path, text_field(object, "file_path"));
    PIE_ASSIGN(const std::string imports, text_field(object, "import_statement"));
    PIE_ASSIGN(const std::string code, text_field(object, "code"));
    Sample sample;
    PIE_ASSIGN(sample.target, text_field(object, "next_line"));
    const Language* language = language_of(path);
    sample.language = language == nullptr ? "" : std::string(language->name);
    const std::string mark = comment_mark(sample.language);
    sample.above = split_lines(fmt::format("{}\n{} Path: {}\n{}\n\n{}", context, mark, path, imports, code));
    sample.context = context_ranges(sample.above, mark);
    return sample;
}

} // namespace

bool is_repobench_row(const Json& object) {
    return object.contains("import_statement") && object.contains("next_line");
}

Result<Sample> repobench_sample(const Json& object, const PromptLimit& limit) {
    const auto context = object.find("context");
    if (context == object.end() || (!context->is_string() && !context->is_array())) {
        return fail(ErrorCode::corrupt, "the row's 'context' is neither a text nor a list of snippets");
    }
    PIE_ASSIGN(Sample sample, context->is_string() ? sample_of_v0(object) : sample_of_v11(object, limit));
    if (!sample.target.ends_with('\n')) {
        sample.target += '\n';
    }
    // Rows of `pie-lab eval build` say these themselves.
    sample.id = text_field(object, "id").value_or("");
    sample.setting = text_field(object, "setting").value_or("");
    return sample;
}

} // namespace pie
