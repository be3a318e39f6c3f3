#include "eval/git_history.h"

#include "base/interrupt.h"
#include "eval/random.h"
#include "eval/source_tree.h"
#include "eval/syntax.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace pie {
namespace {

using Lines = std::span<const std::string>;

// One file that a commit changed: names of its two contents.
struct Change {
    std::string commit;
    std::string path;
    std::string before;
    std::string after;
};

std::vector<std::string_view> fields(std::string_view line) {
    std::vector<std::string_view> found;
    while (!line.empty()) {
        const std::string_view field = line.substr(0, line.find_first_of(" \t"));
        found.push_back(field);
        line.remove_prefix(std::min(field.size() + 1, line.size()));
    }
    return found;
}

// git's raw format: ":mode mode before after M<tab>path", below a line that names the commit.
std::vector<Change> parse_log(const std::string& log) {
    std::vector<Change> changes;
    std::string commit;
    for (const std::string& line : split_lines(log)) {
        const std::string_view text = trimmed(line);
        const size_t tab = text.find('\t');
        if (text.starts_with("commit ")) {
            commit = text.substr(7);
        } else if (const auto parts = fields(text.substr(0, tab));
                   text.starts_with(':') && tab != text.npos && parts.size() == 5) {
            changes.push_back(
                {commit, std::string(text.substr(tab + 1)), std::string(parts[2]), std::string(parts[3])});
        }
    }
    return changes;
}

bool is_wanted(const Change& change, const HistoryOptions& options) {
    const Language* language = language_of(change.path);
    return language != nullptr &&
           (options.languages.empty() ||
            std::ranges::find(options.languages, language->name) != options.languages.end());
}

bool is_row_text(const std::string& text) {
    const auto holds = [&text](std::string_view marker) { return text.find(marker) != std::string::npos; };
    return utf8::is_valid(text) && text.find('\0') == std::string::npos &&
           std::ranges::none_of(row_markers, holds);
}

size_t n_tokens(Lines lines, const TokenCounter& count_tokens) {
    size_t sum = 0;
    for (const std::string& line : lines) {
        sum += count_tokens(line);
    }
    return sum;
}

// Where both prompts begin: as many unchanged lines in front as make the longer one so long as wanted.
std::optional<size_t> draw_begin(Lines before, Lines after, size_t n_unchanged, const HistoryOptions& options,
                                 const TokenCounter& count_tokens, Random& random) {
    const size_t wanted = random.between(options.tokens_min, options.tokens_max);
    size_t n_before = n_tokens(before.subspan(n_unchanged), count_tokens);
    size_t n_after = n_tokens(after.subspan(n_unchanged), count_tokens);
    size_t begin = n_unchanged;
    while (begin > 0 && std::max(n_before, n_after) < wanted) {
        const size_t n = count_tokens(after[--begin]);
        n_before += n;
        n_after += n;
    }
    const bool fits = std::min(n_before, n_after) >= options.tokens_min &&
                      std::max(n_before, n_after) <= options.tokens_max;
    return fits ? std::optional(begin) : std::nullopt;
}

// The number of lines behind the last change that stand before the target.
std::optional<size_t> draw_target(const SourceFile& after, size_t n_same_end, Random& random) {
    constexpr size_t lines_behind_max = 20;
    const std::vector<bool> is_code = code_lines(after);
    std::vector<size_t> candidates;
    for (size_t i = 0; i < std::min(n_same_end, lines_behind_max); ++i) {
        if (is_code[after.lines.size() - n_same_end + i]) {
            candidates.push_back(i);
        }
    }
    return candidates.empty() ? std::nullopt : std::optional(candidates[random.below(candidates.size())]);
}

std::optional<EvalRow> row_of(const Change& change, const std::string& text_before,
                              const std::string& text_after, const HistoryOptions& options,
                              const TokenCounter& count_tokens, Random& random) {
    if (!is_row_text(text_before) || !is_row_text(text_after)) {
        return std::nullopt;
    }
    const std::vector<std::string> before = split_lines(text_before);
    const SourceFile after{change.path, language_of(change.path), split_lines(text_after)};
    const auto n_unchanged =
        static_cast<size_t>(std::ranges::mismatch(before, after.lines).in1 - before.begin());
    const Lines rest_before = Lines(before).subspan(n_unchanged);
    const Lines rest_after = Lines(after.lines).subspan(n_unchanged);
    const auto n_same_end =
        static_cast<size_t>(std::ranges::mismatch(rest_before.rbegin(), rest_before.rend(),
                                                  rest_after.rbegin(), rest_after.rend())
                                .in1 -
                            rest_before.rbegin());
    const auto behind = draw_target(after, n_same_end, random);
    if (!behind || before == after.lines) {
        return std::nullopt;
    }
    const size_t left_out = n_same_end - *behind;
    const Lines prompt_before = Lines(before).first(before.size() - left_out);
    const Lines prompt_after = Lines(after.lines).first(after.lines.size() - left_out);
    const auto begin = draw_begin(prompt_before, prompt_after, n_unchanged, options, count_tokens, random);
    if (!begin || *begin == prompt_before.size() || *begin == prompt_after.size()) {
        return std::nullopt;
    }
    return EvalRow{.id = fmt::format("commit:{}:{}", change.commit.substr(0, 12), change.path),
                   .kind = "commit",
                   .language = std::string(after.language->name),
                   .before = joined(prompt_before.subspan(*begin)),
                   .after = joined(prompt_after.subspan(*begin)),
                   .target = after.lines[prompt_after.size()]};
}

} // namespace

Result<std::vector<EvalRow>> rows_of_history(const Git& git, const HistoryOptions& options,
                                             const TokenCounter& count_tokens) {
    PIE_ASSIGN(const std::string log, git({"log", "--no-merges", "--no-renames", "--diff-filter=M", "--raw",
                                           "--no-abbrev", "--format=commit %H"}));
    Random random(options.seed, "history");
    std::vector<EvalRow> rows;
    for (const Change& change : parse_log(log)) {
        if (interrupted()) {
            return fail_interrupted("nothing was written");
        }
        if (rows.size() == options.n_rows) {
            break;
        }
        if (!is_wanted(change, options)) {
            continue;
        }
        PIE_ASSIGN(const std::string before, git({"cat-file", "blob", change.before}));
        PIE_ASSIGN(const std::string after, git({"cat-file", "blob", change.after}));
        if (auto row = row_of(change, before, after, options, count_tokens, random)) {
            rows.push_back(*std::move(row));
        }
    }
    if (rows.empty()) {
        return fail(ErrorCode::not_found,
                    "no commit of the history changes a file of a known language in lines that "
                    "a prompt can hold; take other bounds for its tokens");
    }
    return rows;
}

} // namespace pie
