#include "eval/row_builder.h"

#include "base/interrupt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>
#include <set>

namespace pie {
namespace {

constexpr size_t draws_per_row_max = 400;

// Lines [begin, end) of a file, the target among them.
struct Cut {
    size_t begin = 0;
    size_t target = 0;
    size_t end = 0;
};

// By line.
struct FileFacts {
    std::vector<bool> is_code;
    std::vector<size_t> line_tokens;
};

class RowBuilder {
  public:
    RowBuilder(const SourceTree& tree, const BuildOptions& options, const TokenCounter& count_tokens)
        : tree_(tree), options_(options), count_tokens_(count_tokens) {
        for (const SourceFile& file : tree.files) {
            by_language_[file.language].push_back(&file);
        }
    }

    // Appends rows of one kind, as many as are asked for or as can be found.
    Result<void> build(const EditKind& kind, BuiltRows& built) {
        Random random(options_.seed, kind.name);
        std::set<std::string, std::less<>> targets;
        size_t n_rows = 0;
        for (size_t draw = 0; n_rows < options_.n_rows && draw < options_.n_rows * draws_per_row_max;
             ++draw) {
            if (interrupted()) {
                return fail_interrupted("nothing was written");
            }
            const SourceFile& file = tree_.files[random.below(tree_.files.size())];
            auto row = draw_row(kind, file, random);
            if (row && targets.emplace(trimmed(row->target)).second) {
                built.rows.push_back(std::move(*row));
                ++n_rows;
            }
        }
        if (n_rows < options_.n_rows) {
            built.scarce.emplace_back(kind.name);
        }
        return {};
    }

  private:
    std::optional<EvalRow> draw_row(const EditKind& kind, const SourceFile& file, Random& random) {
        if (file.lines.empty()) {
            return std::nullopt;
        }
        const size_t target = random.below(file.lines.size());
        if (!facts(file).is_code[target]) {
            return std::nullopt;
        }
        const auto cut = draw_cut(kind.shape, file, target, random);
        if (!cut) {
            return std::nullopt;
        }
        const std::span<const std::string> lines = file.lines;
        const EditSite site{.above = lines.subspan(cut->begin, cut->target - cut->begin),
                            .target = lines[cut->target],
                            .below = lines.subspan(cut->target + 1, cut->end - cut->target - 1),
                            .same_language = by_language_.at(file.language)};
        const auto edit = kind.make(site, random);
        if (!edit || edit->before.empty()) {
            return std::nullopt;
        }
        return EvalRow{.id = fmt::format("{}:{}:{}", kind.name, file.path, target + 1),
                       .kind = std::string(kind.name),
                       .language = std::string(file.language->name),
                       .before = edit->before,
                       .after = edit->after,
                       .target = lines[target]};
    }

    // Lines around the target with a number of tokens that is drawn between the bounds. Filling in the
    // middle, three quarters of them stand above it. Empty where the file has too few.
    std::optional<Cut> draw_cut(PromptShape shape, const SourceFile& file, size_t target, Random& random) {
        const std::vector<size_t>& tokens = facts(file).line_tokens;
        const size_t wanted = random.between(options_.tokens_min, options_.tokens_max);
        const size_t wanted_above = shape == PromptShape::left_to_right ? wanted : wanted * 3 / 4;
        Cut cut{.begin = target, .target = target, .end = target + 1};
        size_t n_tokens = 0;
        const auto take = [&](size_t line, size_t limit) {
            if (n_tokens >= limit || n_tokens + tokens[line] > options_.tokens_max) {
                return false;
            }
            n_tokens += tokens[line];
            return true;
        };
        while (cut.begin > 0 && take(cut.begin - 1, wanted_above)) {
            --cut.begin;
        }
        while (shape == PromptShape::fill_in_the_middle && cut.end < file.lines.size() &&
               take(cut.end, wanted)) {
            ++cut.end;
        }
        return n_tokens < options_.tokens_min ? std::nullopt : std::optional(cut);
    }

    const FileFacts& facts(const SourceFile& file) {
        const auto [known, is_new] = facts_.try_emplace(&file);
        FileFacts& facts = known->second;
        if (is_new) {
            facts.is_code = code_lines(file);
            for (const std::string& line : file.lines) {
                facts.line_tokens.push_back(count_tokens_(line));
            }
        }
        return facts;
    }

    const SourceTree& tree_;
    const BuildOptions& options_;
    const TokenCounter& count_tokens_;
    std::map<const Language*, std::vector<const SourceFile*>> by_language_;
    std::map<const SourceFile*, FileFacts> facts_; // of files drawn so far
};

Result<const EditKind*> kind_called(const std::string& name) {
    const EditKind* kind = find_edit_kind(name);
    if (kind == nullptr) {
        std::vector<std::string_view> names;
        for (const EditKind& known : edit_kinds()) {
            names.push_back(known.name);
        }
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("there is no kind of edit '{}'; the kinds are {}", name, fmt::join(names, ", ")));
    }
    return kind;
}

} // namespace

Result<BuiltRows> build_rows(const SourceTree& tree, const BuildOptions& options,
                             const TokenCounter& count_tokens) {
    if (options.tokens_min > options.tokens_max) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a prompt cannot have {} tokens at least and {} at most", options.tokens_min,
                                options.tokens_max));
    }
    std::vector<const EditKind*> kinds;
    for (const std::string& name : options.kinds) {
        PIE_ASSIGN(const EditKind* kind, kind_called(name));
        kinds.push_back(kind);
    }
    RowBuilder builder(tree, options, count_tokens);
    BuiltRows built;
    for (const EditKind* kind : kinds) {
        PIE_TRY(builder.build(*kind, built));
    }
    if (built.rows.empty()) {
        return fail(
            ErrorCode::not_found,
            fmt::format("no line of the tree has {} tokens in front that such an edit fits; take a lower "
                        "--tokens-min or a tree with longer files",
                        options.tokens_min));
    }
    return built;
}

} // namespace pie
