#include "session/completion.h"

#include "base/check.h"
#include "base/elapsed.h"
#include "session/character_joiner.h"
#include "session/decoder.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <utility>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

// The text from `begin` on, with the tokens from `n_tokens` on that have a part in the text.
TextPart part_of(const Completion& completion, size_t begin, size_t n_tokens) {
    const auto& ends = completion.text_ends;
    const auto last = std::ranges::lower_bound(ends, completion.text.size());
    const auto n_begun = static_cast<size_t>(last - ends.begin()) + (last == ends.end() ? 0 : 1);
    const size_t n = n_begun - n_tokens;
    TextPart part{.text = std::string_view(completion.text).substr(begin),
                  .begin = begin,
                  .tokens = std::span(completion.tokens).subspan(n_tokens, n),
                  .text_ends = std::span(ends).subspan(n_tokens, n)};
    if (!completion.probabilities.empty()) {
        part.probabilities = std::span(completion.probabilities).subspan(n_tokens, n);
    }
    return part;
}

// One completion while it is made.
class Generation {
  public:
    Generation(const LoadedModel& model, const CompletionOptions& options, TextReceiver receive,
               std::string_view begun, Sampler sampler)
        : model_(model), options_(options), receive_(std::move(receive)), begun_(begun),
          sampler_(std::move(sampler)), stop_(options.stop) {}

    int32_t n_left() const { return options_.n_predict - static_cast<int32_t>(completion_.tokens.size()); }
    bool is_over() const { return finish_.has_value() || n_left() <= 0; }

    // How many tokens may be drafted behind the last one. None before there is text to show, which a larger
    // batch would hold up; the token that was begun is often encoded along already.
    int32_t n_draft_max() const { return completion_.text.empty() ? 0 : n_left() - 1; }

    // Chooses the next token by the logits ahead of it.
    TokenId take_next(std::span<const float> logits) {
        PIE_CHECK(std::ssize(logits) == model_.vocabulary().size(), "a token is chosen by one row of logits");
        const TokenId token = sampler_.sample(begun_.empty() ? logits : going_on_from_begun(logits));
        if (completion_.tokens.empty()) {
            completion_.first_token_milliseconds = milliseconds_since(start_);
            first_token_ = Clock::now();
        }
        finish_ = take(token, logits);
        return token;
    }

    // No cell is left for what was taken last.
    void end_at_full_context() { finish_ = finish_.value_or(FinishReason::context); }

    Completion finish() {
        completion_.finish = finish_.value_or(FinishReason::length);
        if (completion_.finish != FinishReason::stopped) {
            released_ += stop_.rest();
            hand_out(released_.size());
        }
        completion_.milliseconds = milliseconds_since(start_);
        return std::move(completion_);
    }

  private:
    // Leaves the tokens that agree with what must be written.
    std::span<const float> going_on_from_begun(std::span<const float> logits) {
        agreeing_.assign(logits.size(), -std::numeric_limits<float>::infinity());
        for (const TokenId token : model_.pieces().going_on_with(begun_)) {
            agreeing_[static_cast<size_t>(token.value)] = logits[static_cast<size_t>(token.value)];
        }
        return agreeing_;
    }

    // Whether the completion ends with `token`, and why.
    std::optional<FinishReason> take(TokenId token, std::span<const float> logits) {
        const Vocabulary& vocabulary = model_.vocabulary();
        if (vocabulary.ends_generation(token)) {
            return FinishReason::end_of_text;
        }
        completion_.tokens.push_back(token);
        sampler_.accept(token);
        if (options_.n_probs > 0) {
            const auto n = static_cast<size_t>(options_.n_probs);
            completion_.probabilities.push_back(options_.probabilities == ProbabilityKind::before_sampling
                                                    ? probabilities(logits, token, n)
                                                    : sampler_.probabilities(n));
        }
        std::string piece = vocabulary.piece(token);
        const size_t n_begun = std::min(begun_.size(), piece.size());
        begun_.remove_prefix(n_begun);
        const std::string text = joiner_.push(piece.erase(0, n_begun));
        completion_.text_ends.push_back(text.size() +
                                        (completion_.text_ends.empty() ? 0 : completion_.text_ends.back()));
        if (vocabulary.is_control(token) && stops_at(vocabulary.name(token))) {
            completion_.stop_string = vocabulary.name(token);
            return FinishReason::stop_string;
        }
        const StopRule::Step step = stop_.push(text, milliseconds_since(first_token_));
        released_ += step.text;
        if (step.finish) {
            completion_.stop_string = step.stop_string;
            hand_out(released_.size());
            return step.finish;
        }
        const bool goes_on = hand_out(end_of_whole_tokens()) == StreamControl::go_on;
        return goes_on ? std::nullopt : std::optional(FinishReason::stopped);
    }

    // A control token writes no text, so the stop rule never sees its name.
    bool stops_at(const std::string& control_token) const {
        return std::ranges::find(options_.stop.strings, control_token) != options_.stop.strings.end();
    }

    // In the released text.
    size_t end_of_whole_tokens() const {
        const auto& ends = completion_.text_ends;
        const auto behind = std::ranges::upper_bound(ends, released_.size());
        return behind == ends.begin() ? 0 : *(behind - 1);
    }

    // The released text up to `end`, with the tokens that begin in it.
    StreamControl hand_out(size_t end) {
        const size_t begin = completion_.text.size();
        completion_.text.append(released_, begin, end - begin);
        if (!receive_ || begin == end) {
            return StreamControl::go_on;
        }
        const TextPart part = part_of(completion_, begin, n_handed_out_);
        n_handed_out_ += part.tokens.size();
        return receive_(part);
    }

    const LoadedModel& model_;
    const CompletionOptions& options_;
    TextReceiver receive_;
    std::string_view begun_; // that is not written yet
    std::vector<float> agreeing_;
    Sampler sampler_;
    CharacterJoiner joiner_;
    StopRule stop_;
    std::string released_;    // by the stop rule; the completion's text goes up to the end of a token in it
    size_t n_handed_out_ = 0; // tokens, to the receiver
    Completion completion_;
    std::optional<FinishReason> finish_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point first_token_;
};

Result<Generation> begin(const LiveSequence& sequence, const CompletionOptions& options, TextReceiver receive,
                         std::string_view begun, uint32_t seed) {
    SamplingOptions sampling = options.sampling;
    sampling.seed = seed;
    const LoadedModel& model = sequence.engine().model();
    PIE_ASSIGN(Sampler sampler, Sampler::create(model.vocabulary(), sampling, sequence.tokens()));
    return Generation(model, options, std::move(receive), begun, std::move(sampler));
}

Result<Completion> run_alone(LiveSequence& sequence, const CompletionOptions& options,
                             Generation generation) {
    Decoder decoder(sequence, options.sampling.temperature == 0.0F ? options.draft_max : std::optional(0));
    std::span<const float> logits = sequence.logits();
    while (!generation.is_over()) {
        const TokenId token = generation.take_next(logits);
        if (decoder.is_full()) {
            generation.end_at_full_context();
        }
        if (!generation.is_over()) {
            PIE_ASSIGN(logits, decoder.advance(token, generation.n_draft_max()));
        }
    }
    Completion completion = generation.finish();
    completion.tokens_drafted = decoder.tokens_drafted();
    completion.tokens_accepted = decoder.tokens_accepted();
    return completion;
}

// Token by token, all in one batch.
Result<void> run_beside(LiveSequence& sequence, std::span<Generation> generations) {
    std::vector<std::span<const float>> logits(generations.size(), sequence.logits());
    std::vector<BranchToken> tokens;
    do {
        tokens.clear();
        for (size_t i = 0; i < generations.size(); ++i) {
            if (generations[i].is_over()) {
                continue;
            }
            const TokenId token = generations[i].take_next(logits[i]);
            if (!generations[i].is_over()) {
                tokens.push_back({static_cast<int32_t>(i), token});
            }
        }
        if (!tokens.empty()) {
            PIE_ASSIGN(const auto all, sequence.extend_branches(tokens));
            const size_t n_vocab = all.size() / tokens.size();
            for (size_t i = 0; i < tokens.size(); ++i) {
                logits[static_cast<size_t>(tokens[i].branch)] = all.subspan(i * n_vocab, n_vocab);
            }
        }
    } while (!tokens.empty());
    return {};
}

// Whatever is made behind the sequence, it is afterwards what it was.
template <typename Work>
auto then_rewind(LiveSequence& sequence, const Work& work) {
    PIE_CHECK(!sequence.logits().empty(), "a sequence is updated before it is completed");
    const int32_t n_tokens = sequence.n_tokens();
    std::vector<float> logits(sequence.logits().begin(), sequence.logits().end());
    sequence.fade_attention();
    auto result = work();
    sequence.rewind(n_tokens, std::move(logits));
    return result;
}

// Random ones differ by themselves.
uint32_t seed_of(const CompletionOptions& options, int32_t index) {
    const uint32_t seed = options.sampling.seed;
    return seed == random_seed ? seed : seed + static_cast<uint32_t>(index);
}

TextReceiver receiver_of(const SeveralReceiver& receive, int32_t index) {
    if (!receive) {
        return {};
    }
    return [&receive, index](const TextPart& part) { return receive(index, part); };
}

} // namespace

Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive, std::string_view begun) {
    PIE_ASSIGN(Generation generation, begin(sequence, options, receive, begun, options.sampling.seed));
    return then_rewind(sequence, [&] { return run_alone(sequence, options, std::move(generation)); });
}

Result<std::vector<Completion>> complete_several(LiveSequence& sequence, const CompletionOptions& options,
                                                 int32_t n, const SeveralReceiver& receive,
                                                 std::string_view begun) {
    if (options.sampling.temperature == 0.0F) {
        PIE_ASSIGN(const Completion only, complete(sequence, options, receiver_of(receive, 0), begun));
        for (int32_t i = 1; receive && i < n && !only.text.empty(); ++i) {
            receive(i, part_of(only, 0, 0));
        }
        return std::vector<Completion>(static_cast<size_t>(n), only);
    }
    const int32_t n_cells = sequence.n_tokens_max() - sequence.n_tokens();
    const int32_t n_fit = std::min(n_cells / std::max(1, options.n_predict), sequence.engine().n_batch());
    std::vector<Completion> completions;
    for (int32_t i = 0; i < n;) {
        const int32_t n_beside = std::clamp(n_fit, 1, n - i);
        std::vector<Generation> generations;
        for (const int32_t end = i + n_beside; i < end; ++i) {
            PIE_ASSIGN(Generation generation,
                       begin(sequence, options, receiver_of(receive, i), begun, seed_of(options, i)));
            generations.push_back(std::move(generation));
        }
        if (n_beside == 1) {
            PIE_ASSIGN(completions.emplace_back(), then_rewind(sequence, [&] {
                           return run_alone(sequence, options, std::move(generations.front()));
                       }));
            continue;
        }
        PIE_TRY(then_rewind(sequence, [&] { return run_beside(sequence, generations); }));
        for (Generation& generation : generations) {
            completions.push_back(generation.finish());
        }
    }
    return completions;
}

} // namespace pie
