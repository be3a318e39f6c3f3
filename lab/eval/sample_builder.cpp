#include "eval/sample_builder.h"

#include "base/interrupt.h"
#include "eval/cross_file.h"
#include "eval/grammar.h"
#include "eval/random.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace pie {
namespace {

constexpr size_t draws_per_sample_max = 400;
constexpr std::array<std::string_view, 3> settings = {"cross_file_first", "cross_file_random", "in_file"};

// What is known of a file, its lines without those that import.
struct FileFacts {
    std::string imports;
    std::vector<size_t> lines; // numbers of the other lines
    std::vector<size_t> line_tokens;
    std::vector<ImportedDefinition> imported;
};

// A share of a prompt for other files' code.
constexpr size_t context_share = 2; // half

std::string_view level_of(size_t n_tokens) {
    constexpr std::array<std::pair<size_t, std::string_view>, 5> levels = {
        {{1600, "2k"}, {3600, "4k"}, {7200, "8k"}, {10800, "12k"}, {14400, "16k"}}};
    const auto* const level =
        std::ranges::find_if(levels, [n_tokens](const auto& l) { return n_tokens <= l.first; });
    return level == levels.end() ? "24k" : level->second;
}

class SampleBuilder {
  public:
    SampleBuilder(const SourceTree& tree, const BuildOptions& options, const TokenCounter& count_tokens)
        : options_(options), count_tokens_(count_tokens), tree_(tree) {}

    // Appends samples of one language and setting, as many as are asked for or as can be found.
    Result<void> build(const std::vector<const SourceFile*>& files, std::string_view setting,
                       BuiltSamples& built) {
        const std::string name = fmt::format("{} {}", files.front()->language->name, setting);
        Random random(options_.seed, name);
        std::set<std::string, std::less<>> targets;
        for (size_t draw = 0;
             targets.size() < options_.n_samples && draw < options_.n_samples * draws_per_sample_max;
             ++draw) {
            if (interrupted()) {
                return fail_interrupted("nothing was written");
            }
            const SourceFile& file = *files[random.below(files.size())];
            const auto target = draw_target(file, setting, random);
            auto row = target ? cut(file, *target, setting, random) : std::nullopt;
            if (row && targets.emplace(trimmed(file.lines[facts(file).lines[*target]])).second) {
                built.rows.push_back(*std::move(row));
            }
        }
        if (targets.size() < options_.n_samples) {
            built.scarce.push_back(name);
        }
        return {};
    }

  private:
    // An index into the file's lines that do not import.
    std::optional<size_t> draw_target(const SourceFile& file, std::string_view setting, Random& random) {
        const FileFacts& known = facts(file);
        if (known.lines.empty()) {
            return std::nullopt;
        }
        const size_t target = random.below(known.lines.size());
        const size_t line = known.lines[target];
        const FileSyntax& syntax = tree_.syntax_of(file);
        const bool is_wanted =
            syntax.is_code[line] && setting_of(known.imported, syntax.names[line], line) == setting;
        return is_wanted ? std::optional(target) : std::nullopt;
    }

    // Of a line that uses imported names the first use of any of them decides.
    static std::string_view setting_of(const std::vector<ImportedDefinition>& imported,
                                       const std::vector<NameUse>& names, size_t line) {
        std::string_view setting = "in_file";
        for (const ImportedDefinition& definition : imported) {
            if (std::ranges::find(names, definition.use) == names.end()) {
                continue;
            }
            if (definition.first_line == line) {
                return "cross_file_first";
            }
            setting = "cross_file_random";
        }
        return setting;
    }

    // Snippets that fit into `n_tokens`, in the order of the imports; what the target uses comes in first.
    nlohmann::json context_of(const FileFacts& known, const std::vector<NameUse>& target, size_t n_tokens,
                              size_t& n_used) const {
        std::vector<std::string> snippets(known.imported.size());
        for (const bool is_for_target : {true, false}) {
            for (size_t i = 0; i < snippets.size(); ++i) {
                const ImportedDefinition& d = known.imported[i];
                if ((std::ranges::find(target, d.use) != target.end()) != is_for_target) {
                    continue;
                }
                const std::string text =
                    joined(std::span(d.file->lines).subspan(d.lines.begin, d.lines.end - d.lines.begin));
                const size_t n = count_tokens_(text) + count_tokens_(d.file->path);
                if (n_used + n <= n_tokens) {
                    n_used += n;
                    snippets[i] = text.substr(0, text.find_last_not_of('\n') + 1);
                }
            }
        }
        nlohmann::json context = nlohmann::json::array();
        for (size_t i = 0; i < snippets.size(); ++i) {
            if (!snippets[i].empty()) {
                context.push_back({{"identifier", known.imported[i].name},
                                   {"path", known.imported[i].file->path},
                                   {"snippet", snippets[i]}});
            }
        }
        return context;
    }

    // The row whose prompt has a number of tokens that is drawn between the bounds; empty where the file has
    // too few lines before the target.
    std::optional<std::string> cut(const SourceFile& file, size_t target, std::string_view setting,
                                   Random& random) {
        const FileFacts& known = facts(file);
        const size_t wanted = random.between(options_.tokens_min, options_.tokens_max);
        size_t n_tokens = count_tokens_(known.imports);
        const std::vector<NameUse>& names = tree_.syntax_of(file).names[known.lines[target]];
        nlohmann::json context = context_of(known, names, wanted / context_share, n_tokens);
        size_t begin = target;
        while (begin > 0 && n_tokens < wanted &&
               n_tokens + known.line_tokens[known.lines[begin - 1]] <= options_.tokens_max) {
            --begin;
            n_tokens += known.line_tokens[known.lines[begin]];
        }
        if (n_tokens < options_.tokens_min || n_tokens > options_.tokens_max || begin == target) {
            return std::nullopt;
        }
        std::string code;
        for (size_t i = begin; i < target; ++i) {
            code += file.lines[known.lines[i]];
        }
        const std::string& line = file.lines[known.lines[target]];
        const nlohmann::ordered_json row = {{"id", fmt::format("{}:{}:{}:{}", options_.repository, setting,
                                                               file.path, known.lines[target] + 1)},
                                            {"setting", setting},
                                            {"repo_name", options_.repository},
                                            {"file_path", file.path},
                                            {"context", std::move(context)},
                                            {"import_statement", known.imports},
                                            {"token_num", n_tokens},
                                            {"cropped_code", code},
                                            {"all_code", joined(file.lines)},
                                            {"next_line", line.substr(0, line.find_last_not_of("\r\n") + 1)},
                                            {"level", level_of(n_tokens)}};
        // A file's name need not be UTF-8.
        return row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }

    const FileFacts& facts(const SourceFile& file) {
        const auto [known, is_new] = facts_.try_emplace(&file);
        FileFacts& facts = known->second;
        if (is_new) {
            const std::vector<bool>& imports = tree_.syntax_of(file).is_import;
            for (size_t i = 0; i < file.lines.size(); ++i) {
                if (imports[i]) {
                    facts.imports += file.lines[i];
                } else {
                    facts.lines.push_back(i);
                }
                facts.line_tokens.push_back(count_tokens_(file.lines[i]));
            }
            facts.imports.resize(facts.imports.find_last_not_of('\n') + 1);
            facts.imported = tree_.imported(file);
        }
        return facts;
    }

    const BuildOptions& options_;
    const TokenCounter& count_tokens_;
    CrossFile tree_;
    std::map<const SourceFile*, FileFacts> facts_; // of files drawn so far
};

// By language, those that are asked for and have a grammar.
Result<std::map<std::string_view, std::vector<const SourceFile*>>> chosen_files(const SourceTree& tree,
                                                                                const BuildOptions& options) {
    std::map<std::string_view, std::vector<const SourceFile*>> files;
    for (const SourceFile& file : tree.files) {
        const bool is_wanted =
            options.languages.empty() ||
            std::ranges::find(options.languages, file.language->name) != options.languages.end();
        if (is_wanted && Grammar::find(file.language->name, file.path) != nullptr) {
            files[file.language->name].push_back(&file);
        }
    }
    for (const std::string& language : options.languages) {
        if (!files.contains(language)) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("the tree has no file of '{}', or there is no grammar for it", language));
        }
    }
    return files;
}

} // namespace

Result<BuiltSamples> build_samples(const SourceTree& tree, const BuildOptions& options,
                                   const TokenCounter& count_tokens) {
    if (options.tokens_min > options.tokens_max) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a prompt cannot have {} tokens at least and {} at most", options.tokens_min,
                                options.tokens_max));
    }
    PIE_ASSIGN(const auto files, chosen_files(tree, options));
    SampleBuilder builder(tree, options, count_tokens);
    BuiltSamples built;
    for (const auto& [language, of_language] : files) {
        for (const std::string_view setting : settings) {
            PIE_TRY(builder.build(of_language, setting, built));
        }
    }
    if (built.rows.empty()) {
        return fail(
            ErrorCode::not_found,
            fmt::format("no line of the tree has {} tokens in front; take a lower --tokens-min or a tree "
                        "with longer files",
                        options.tokens_min));
    }
    return built;
}

} // namespace pie
