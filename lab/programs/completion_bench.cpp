// What the layout of a prompt and drafting do to completions. Cursors are drawn inside lines of code, the
// rest of the line is taken away, and each layout is asked for it with a full recompute: greedy completions
// that give the rest exactly, and the loss of the rest in nats a character. Then the default layout writes 64
// tokens without drafts from the prompt and with those that are likely to pay.
//
// "suffix first" is <SUF> behind the cursor <PRE> before it <MID>: for models that were trained on that.
//
//   completion_bench MODEL.gguf FOLDER [CURSORS]
//
// "healed" is what documents do: the token that the cursor stands behind is written anew (token healing).

#include "base/interrupt.h"
#include "bench/number_argument.h"
#include "engine/logits.h"
#include "eval/random.h"
#include "eval/source_tree.h"
#include "eval/syntax.h"
#include "session/live_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

constexpr size_t lines_above = 60;
constexpr size_t lines_below = 30;
constexpr int32_t n_predict = 48;

struct Cursor {
    std::string language;
    std::string text; // without the rest of the line
    size_t at = 0;
    std::string rest; // of the line, without its break
};

struct Score {
    size_t n = 0;
    size_t n_exact = 0;
    double loss = 0;
    size_t n_characters = 0;
};

// The same 64 tokens with and without drafts.
struct Drafting {
    size_t n = 0;
    size_t n_same = 0;
    double plain_milliseconds = 0;
    double drafted_milliseconds = 0;
};

// Inside the code of a line: behind its first character and before its last two.
std::optional<Cursor> draw(const SourceTree& tree, Random& random) {
    const SourceFile& file = tree.files[random.below(tree.files.size())];
    if (file.lines.empty()) {
        return {};
    }
    const size_t line = random.below(file.lines.size());
    const std::string& text = file.lines[line];
    const size_t begin = text.find_first_not_of(" \t");
    const size_t end = text.find_last_not_of(" \t\r\n") + 1;
    const bool is_ascii =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80U; });
    if (!code_lines(file)[line] || end < begin + 8 || !is_ascii || line < 5) {
        return {};
    }
    const size_t column = random.between(begin + 1, end - 3);
    const std::span<const std::string> lines(file.lines);
    const size_t n_above = std::min(line, lines_above);
    const size_t n_below = std::min(lines.size() - line - 1, lines_below);
    const std::string before = joined(lines.subspan(line - n_above, n_above));
    const std::string behind = joined(lines.subspan(line + 1, n_below));
    return Cursor{.language = std::string(file.language->name),
                  .text = before + text.substr(0, column) + "\n" + behind,
                  .at = before.size() + column,
                  .rest = text.substr(column, end - column)};
}

class CompletionBench {
  public:
    CompletionBench(Engine& engine,
                    std::vector<std::pair<std::string, std::unique_ptr<LiveDocument>>> layouts)
        : vocabulary_(engine.model().vocabulary()), layouts_(std::move(layouts)) {}

    Result<void> ask(const Cursor& cursor) {
        LiveDocument& any = *layouts_.front().second;
        PIE_TRY(any.update(suffix_first(cursor), {.method = ReuseMethod::full}));
        PIE_TRY(score(any.sequence(), cursor, scores_[cursor.language]["suffix first"]));
        for (auto& [name, live] : layouts_) {
            PIE_ASSIGN(PromptLayout layout, PromptLayout::create(vocabulary_, live->layout()));
            const std::string_view text = cursor.text;
            const std::vector<TokenId> prompt =
                layout.tokens({.prefix = text.substr(0, cursor.at), .suffix = text.substr(cursor.at)});
            PIE_TRY(live->update(prompt, {.method = ReuseMethod::full}));
            PIE_TRY(score(live->sequence(), cursor, scores_[cursor.language][name]));
            if (live->layout() == LayoutKind::psm_line) {
                PIE_TRY(compare_drafting(*live));
                PIE_TRY(live->update(text, ByteOffset(cursor.at), {.method = ReuseMethod::pie}));
                PIE_ASSIGN(const Completion completion,
                           live->complete({.n_predict = n_predict, .stop = {.strings = {"\n"}}}));
                count(completion.text, cursor, scores_[cursor.language][name + ", healed"]);
            }
        }
        return {};
    }

    void print() const {
        for (const auto& [language, by_layout] : scores_) {
            for (const auto& [name, score] : by_layout) {
                const auto n = static_cast<double>(score.n);
                const double share = static_cast<double>(score.n_exact) / n;
                fmt::print("{:<8}{:<22}{:>4} of {:>4} exact ({:.1f} % +- {:.1f})", language, name,
                           score.n_exact, score.n, 100 * share, 100 * std::sqrt(share * (1 - share) / n));
                if (score.n_characters > 0) {
                    fmt::print("   {:.3f} nats a character",
                               score.loss / static_cast<double>(score.n_characters));
                }
                fmt::print("\n");
            }
        }
        fmt::print("drafting writes {:.2f} times as fast; {} of {} completions are the same\n",
                   drafting_.plain_milliseconds / drafting_.drafted_milliseconds, drafting_.n_same,
                   drafting_.n);
    }

  private:
    std::vector<TokenId> suffix_first(const Cursor& cursor) const {
        const FimMarkers markers = *vocabulary_.fim(); // the layouts want them too
        const std::string_view text = cursor.text;
        std::vector<TokenId> prompt = {markers.suffix};
        const auto append = [&](std::string_view part) {
            const std::vector<TokenId> tokens = vocabulary_.tokenize(part);
            prompt.insert(prompt.end(), tokens.begin(), tokens.end());
        };
        append(text.substr(cursor.at));
        prompt.push_back(markers.prefix);
        append(text.substr(0, cursor.at));
        if (markers.middle) {
            prompt.push_back(*markers.middle);
        }
        return prompt;
    }

    // Appends the likeliest tokens up to the end of the line to `text`.
    Result<std::string> greedy(LiveSequence& sequence, std::string text) const {
        for (int32_t i = 0; i < n_predict && text.find('\n') == std::string::npos; ++i) {
            const TokenId token = likeliest(sequence.logits());
            if (vocabulary_.ends_generation(token)) {
                break;
            }
            text += vocabulary_.piece(token);
            PIE_TRY(sequence.extend(std::span(&token, 1)));
        }
        return text.substr(0, text.find_first_of("\r\n"));
    }

    static void count(std::string_view written, const Cursor& cursor, Score& score) {
        ++score.n;
        score.n_exact += written.substr(0, written.find_last_not_of(" \t") + 1) == cursor.rest ? 1 : 0;
    }

    Result<void> score(LiveSequence& sequence, const Cursor& cursor, Score& score) const {
        const std::vector<float> logits(sequence.logits().begin(), sequence.logits().end());
        const int32_t n_prompt = sequence.n_tokens();
        for (const TokenId token : vocabulary_.tokenize(cursor.rest)) {
            score.loss += log_loss(sequence.logits(), token);
            PIE_TRY(sequence.extend(std::span(&token, 1)));
        }
        sequence.rewind(n_prompt, logits);
        PIE_ASSIGN(const std::string written, greedy(sequence, ""));
        sequence.rewind(n_prompt, logits);
        count(written, cursor, score);
        score.n_characters += cursor.rest.size();
        return {};
    }

    Result<void> compare_drafting(LiveDocument& live) {
        PIE_ASSIGN(const Completion plain, live.complete({.n_predict = 64, .draft_max = 0}));
        PIE_ASSIGN(const Completion drafted, live.complete({.n_predict = 64}));
        drafting_.plain_milliseconds += plain.milliseconds;
        drafting_.drafted_milliseconds += drafted.milliseconds;
        drafting_.n_same += plain.tokens == drafted.tokens ? 1 : 0;
        ++drafting_.n;
        return {};
    }

    const Vocabulary& vocabulary_;
    std::vector<std::pair<std::string, std::unique_ptr<LiveDocument>>> layouts_;
    std::map<std::string, std::map<std::string, Score>> scores_; // by language, then layout
    Drafting drafting_;
};

Result<void> run(const char* path, const char* folder, int n_cursors) {
    PIE_ASSIGN(const SourceTree tree, read_source_tree(folder));
    PIE_ASSIGN(const auto model, LoadedModel::load(path));
    PIE_ASSIGN(const auto engine, Engine::create(*model));
    std::vector<std::pair<std::string, std::unique_ptr<LiveDocument>>> layouts;
    for (const auto& [name, kind] :
         {std::pair("at the cursor", LayoutKind::psm), std::pair("at the line", LayoutKind::psm_line)}) {
        PIE_ASSIGN(auto live, LiveDocument::create(*engine, {.n_ctx = 4096, .layout = kind}));
        layouts.emplace_back(name, std::move(live));
    }
    CompletionBench bench(*engine, std::move(layouts));
    Random random(1, "cursors");
    for (int n = 0; n < n_cursors && !interrupted();) {
        if (const auto cursor = draw(tree, random)) {
            PIE_TRY(bench.ask(*cursor));
            fmt::print(stderr, "\r{} of {} cursors", ++n, n_cursors);
        }
    }
    fmt::print(stderr, "\n");
    bench.print();
    return {};
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    int n_cursors = 100;
    if (argc < 3 || argc > 4 || !pie::read_argument(argc, argv, 3, n_cursors)) {
        fmt::print(stderr, "usage: completion_bench MODEL.gguf FOLDER [CURSORS]\n");
        return 2;
    }
    pie::install_interrupt_handlers();
    const auto done = pie::run(argv[1], argv[2], n_cursors);
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
