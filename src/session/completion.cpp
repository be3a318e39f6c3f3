#include "session/completion.h"

#include "base/check.h"
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

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// One completion while it is made.
class Generation {
  public:
    Generation(LiveSequence& sequence, const CompletionOptions& options, const TextReceiver& receive,
               std::string_view begun, Sampler sampler)
        : sequence_(sequence), options_(options), receive_(receive), begun_(begun),
          sampler_(std::move(sampler)),
          decoder_(sequence, options.sampling.temperature == 0.0F ? options.draft_max : 0),
          stop_(options.stop) {}

    Result<Completion> run() {
        std::optional<FinishReason> finish;
        std::span<const float> logits = sequence_.logits();
        while (!finish && n_left() > 0) {
            const TokenId token = sampler_.sample(begun_.empty() ? logits : going_on_from_begun(logits));
            if (completion_.tokens.empty()) {
                completion_.first_token_milliseconds = milliseconds_since(start_);
                first_token_ = Clock::now();
            }
            finish = take(token, logits);
            if (!finish && n_left() > 0) {
                PIE_ASSIGN(logits, decoder_.advance(token, n_left() - 1));
            }
        }
        completion_.finish = finish.value_or(FinishReason::length);
        if (completion_.finish != FinishReason::stopped) {
            hand_out(stop_.rest());
        }
        completion_.tokens_drafted = decoder_.tokens_drafted();
        completion_.tokens_accepted = decoder_.tokens_accepted();
        completion_.milliseconds = milliseconds_since(start_);
        return std::move(completion_);
    }

  private:
    int32_t n_left() const { return options_.n_predict - static_cast<int32_t>(completion_.tokens.size()); }

    // Leaves the tokens that agree with what must be written.
    std::span<const float> going_on_from_begun(std::span<const float> logits) {
        agreeing_.assign(logits.size(), -std::numeric_limits<float>::infinity());
        for (const TokenId token : sequence_.engine().model().pieces().compatible(begun_)) {
            agreeing_[static_cast<size_t>(token.value)] = logits[static_cast<size_t>(token.value)];
        }
        return agreeing_;
    }

    // Whether the completion ends with `token`, and why.
    std::optional<FinishReason> take(TokenId token, std::span<const float> logits) {
        const Vocabulary& vocabulary = sequence_.engine().model().vocabulary();
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
        const StopRule::Step step = stop_.push(text, milliseconds_since(first_token_));
        const StreamControl control = hand_out(step.text);
        if (step.finish) {
            return step.finish;
        }
        if (control == StreamControl::stop) {
            return FinishReason::stopped;
        }
        return decoder_.is_full() ? std::optional(FinishReason::context) : std::nullopt;
    }

    StreamControl hand_out(std::string_view text) {
        completion_.text += text;
        return receive_ && !text.empty() ? receive_(text) : StreamControl::go_on;
    }

    LiveSequence& sequence_;
    const CompletionOptions& options_;
    const TextReceiver& receive_;
    std::string_view begun_; // that is not written yet
    std::vector<float> agreeing_;
    Sampler sampler_;
    Decoder decoder_;
    CharacterJoiner joiner_;
    StopRule stop_;
    Completion completion_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point first_token_;
};

} // namespace

Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive, std::string_view begun) {
    PIE_CHECK(!sequence.logits().empty(), "a sequence is updated before it is completed");
    PIE_ASSIGN(Sampler sampler,
               Sampler::create(sequence.engine().model().vocabulary(), options.sampling, sequence.tokens()));
    const int32_t n_tokens = sequence.n_tokens();
    std::vector<float> logits(sequence.logits().begin(), sequence.logits().end());
    sequence.fade_attention();
    auto completion = Generation(sequence, options, receive, begun, std::move(sampler)).run();
    sequence.rewind(n_tokens, std::move(logits));
    return completion;
}

Result<std::vector<Completion>> complete_several(LiveSequence& sequence, const CompletionOptions& options,
                                                 int32_t n, std::string_view begun) {
    std::vector<Completion> completions;
    CompletionOptions own = options;
    for (int32_t i = 0; i < n; ++i) {
        if (i > 0 && options.sampling.temperature == 0.0F) {
            completions.push_back(completions.front());
            continue;
        }
        if (options.sampling.seed != LLAMA_DEFAULT_SEED) {
            own.sampling.seed = options.sampling.seed + static_cast<uint32_t>(i);
        }
        PIE_ASSIGN(completions.emplace_back(), complete(sequence, own, {}, begun));
    }
    return completions;
}

} // namespace pie
