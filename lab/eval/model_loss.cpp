#include "eval/model_loss.h"

#include "base/check.h"
#include "base/interrupt.h"
#include "cache/kv_cache.h"
#include "engine/logits.h"
#include "eval/text_metrics.h"
#include "session/completion.h"
#include "session/live_sequence.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

// Logits of as many tokens are in memory twice: 80 MB with a vocabulary of 150,000.
constexpr size_t n_batch = 64;
// Before the first line to write, a model must have seen something of the file.
constexpr size_t n_lines_before = 10;

// One of the two models, and how far it has read.
class Reader {
  public:
    static Result<std::unique_ptr<Reader>> create(Engine& engine, int32_t n_cells) {
        PIE_ASSIGN(auto cache, KvCache::create(engine.model(), {.n_cells = n_cells}));
        PIE_TRY(engine.reserve(*cache));
        return std::unique_ptr<Reader>(new Reader(engine, std::move(cache)));
    }

    void begin() { sequence_.clear(); }
    Result<std::span<const float>> read(std::span<const TokenId> tokens) { return sequence_.extend(tokens); }

    // The next line, written behind what was read.
    Result<std::string> write_line(std::string_view language, int32_t n_tokens_max) {
        std::string text;
        PIE_TRY(complete(sequence_, {.n_predict = n_tokens_max}, [&](std::string_view piece) {
            text += piece;
            return predicts_line(text, language) ? StreamControl::stop : StreamControl::go_on;
        }));
        return std::string(predicted_line(text, language));
    }

  private:
    Reader(Engine& engine, std::unique_ptr<KvCache> cache)
        : cache_(std::move(cache)), sequence_(engine, *cache_) {}

    std::unique_ptr<KvCache> cache_;
    LiveSequence sequence_;
};

// A file in parts: each but the last ends before a line that is to be written.
struct Part {
    std::vector<TokenId> tokens;
    std::string next_line; // empty at the end
};

// By which a line is judged; as elsewhere, what is not known has Java's rules.
std::string_view language_name(const SourceFile& file) {
    return file.language == nullptr ? "" : file.language->name;
}

// Evenly spread over those lines that a completion could predict.
std::vector<size_t> lines_to_write(const SourceFile& file, size_t n_lines_read, int32_t n_wanted) {
    constexpr size_t length_min = 3;
    std::vector<size_t> candidates;
    for (size_t line = n_lines_before; line < n_lines_read; ++line) {
        const std::string_view text = file.lines[line];
        if (trimmed(text).size() >= length_min && predicts_line(text, language_name(file))) {
            candidates.push_back(line);
        }
    }
    std::vector<size_t> chosen;
    const size_t n = std::min(static_cast<size_t>(n_wanted), candidates.size());
    for (size_t i = 0; i < n; ++i) {
        chosen.push_back(candidates[i * candidates.size() / n]);
    }
    return chosen;
}

std::vector<Part> parts_of(const SourceFile& file, const Vocabulary& vocabulary, const LossOptions& options,
                           size_t n_tokens_max) {
    size_t n_tokens = vocabulary.beginning() ? 1 : 0;
    size_t n_lines = 0;
    for (; n_lines < file.lines.size(); ++n_lines) {
        n_tokens += vocabulary.tokenize(file.lines[n_lines]).size();
        if (n_tokens > n_tokens_max) {
            break;
        }
    }
    std::vector<size_t> ends = lines_to_write(file, n_lines, options.n_lines);
    ends.push_back(n_lines);
    std::vector<Part> parts;
    size_t begin = 0;
    for (const size_t end : ends) {
        Part& part = parts.emplace_back();
        if (begin == 0 && vocabulary.beginning()) {
            part.tokens.push_back(*vocabulary.beginning());
        }
        const std::string text = joined(std::span(file.lines).subspan(begin, end - begin));
        const std::vector<TokenId> tokens = vocabulary.tokenize(text);
        part.tokens.insert(part.tokens.end(), tokens.begin(), tokens.end());
        part.next_line = end < n_lines ? file.lines[end] : "";
        begin = end;
    }
    return parts;
}

class Comparison {
  public:
    Comparison(Reader& original, Reader& other, const LossOptions& options, ModelLoss& loss)
        : original_(original), other_(other), options_(options), loss_(loss) {}

    Result<void> read(std::span<const TokenId> tokens) {
        while (!tokens.empty()) {
            const auto batch = tokens.first(std::min(tokens.size(), n_batch));
            tokens = tokens.subspan(batch.size());
            PIE_ASSIGN(const auto p, original_.read(batch));
            PIE_ASSIGN(const auto q, other_.read(batch));
            const size_t n_vocab = p.size() / batch.size();
            for (size_t i = 0; i < batch.size(); ++i) {
                add(p.subspan(i * n_vocab, n_vocab), q.subspan(i * n_vocab, n_vocab));
            }
        }
        return {};
    }

    Result<void> write(std::string_view next_line, std::string_view language) {
        PIE_ASSIGN(const std::string by_original, original_.write_line(language, options_.n_line_tokens));
        PIE_ASSIGN(const std::string by_other, other_.write_line(language, options_.n_line_tokens));
        const std::string_view target = predicted_line(next_line, language);
        ++loss_.n_lines;
        loss_.n_original_lines += exactly_matches(by_original, target) ? 1 : 0;
        loss_.n_other_lines += exactly_matches(by_other, target) ? 1 : 0;
        loss_.n_same_lines += exactly_matches(by_other, by_original) ? 1 : 0;
        return {};
    }

  private:
    void add(std::span<const float> p, std::span<const float> q) {
        ++loss_.n_tokens;
        loss_.kl_sum += kl_divergence(p, q);
        loss_.n_same_top1 += likeliest(p) == likeliest(q) ? 1 : 0;
    }

    Reader& original_;
    Reader& other_;
    const LossOptions& options_;
    ModelLoss& loss_;
};

} // namespace

Result<void> measure_loss(Engine& original, Engine& other, std::span<const SourceFile> files,
                          const LossOptions& options, ModelLoss& loss, Progress& progress) {
    PIE_CHECK(original.model().vocabulary().size() == other.model().vocabulary().size(),
              "the two models have one vocabulary");
    const int32_t n_trained = original.model().hparams().n_ctx_train;
    const int32_t n_read_max = std::max(std::min(options.n_tokens_max, n_trained - options.n_line_tokens), 1);
    const int32_t n_cells = n_read_max + options.n_line_tokens;
    PIE_ASSIGN(const auto original_reader, Reader::create(original, n_cells));
    PIE_ASSIGN(const auto other_reader, Reader::create(other, n_cells));
    Comparison comparison(*original_reader, *other_reader, options, loss);

    std::vector<std::vector<Part>> work;
    uint64_t n_parts = 0;
    for (const SourceFile& file : files) {
        work.push_back(
            parts_of(file, original.model().vocabulary(), options, static_cast<size_t>(n_read_max)));
        n_parts += work.back().size();
    }
    progress.start("comparing what both predict", ProgressUnit::items, n_parts);
    uint64_t n_done = 0;
    for (size_t i = 0; i < work.size(); ++i) {
        original_reader->begin();
        other_reader->begin();
        for (const Part& part : work[i]) {
            if (interrupted()) {
                return fail_interrupted("what was measured so far counts");
            }
            PIE_TRY(comparison.read(part.tokens));
            if (!part.next_line.empty()) {
                PIE_TRY(comparison.write(part.next_line, language_name(files[i])));
            }
            progress.update(++n_done);
        }
    }
    progress.finish();
    return {};
}

} // namespace pie
