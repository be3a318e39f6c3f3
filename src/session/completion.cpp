#include "session/completion.h"

#include "base/check.h"

#include <utf8.h>

#include <chrono>
#include <utility>

namespace pie {
namespace {

// Bytes at the end of `text` that begin a character without completing it. Tokens may split characters.
size_t incomplete_tail(std::string_view text) {
    for (size_t back = 1; back <= 4 && back <= text.size(); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xC0U) == 0x80U) {
            continue; // a continuation byte: its character begins further left
        }
        const size_t length = byte < 0x80U ? 1 : byte < 0xE0U ? 2 : byte < 0xF0U ? 3 : 4;
        return back < length ? back : 0;
    }
    return 0;
}

// Joins the pieces of tokens to text: only whole characters, and bytes that are none replaced by U+FFFD,
// since a model may write what it likes.
class CharacterJoiner {
  public:
    // What `piece` completes.
    std::string push(std::string_view piece) {
        pending_ += piece;
        const size_t whole = pending_.size() - incomplete_tail(pending_);
        std::string text = utf8::replace_invalid(std::string_view(pending_).substr(0, whole));
        pending_.erase(0, whole);
        return text;
    }

  private:
    std::string pending_;
};

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Result<void> generate(LiveSequence& sequence, const CompletionOptions& options, const TextReceiver& receive,
                      Completion& completion) {
    const Vocabulary& vocabulary = sequence.engine().model().vocabulary();
    const auto start = Clock::now();
    Sampler sampler(options.sampling);
    CharacterJoiner joiner;
    while (static_cast<int32_t>(completion.tokens.size()) < options.n_predict) {
        const TokenId token = sampler.sample(sequence.logits());
        if (completion.tokens.empty()) {
            completion.first_token_milliseconds = milliseconds_since(start);
        }
        if (vocabulary.ends_generation(token)) {
            completion.finish = FinishReason::end_of_text;
            return {};
        }
        const std::string text = joiner.push(vocabulary.piece(token));
        completion.tokens.push_back(token);
        completion.text += text;
        if (receive && !text.empty() && receive(text) == StreamControl::stop) {
            completion.finish = FinishReason::stopped;
            return {};
        }
        if (sequence.n_tokens() == sequence.n_tokens_max()) {
            completion.finish = FinishReason::context;
            return {};
        }
        if (static_cast<int32_t>(completion.tokens.size()) < options.n_predict) {
            PIE_TRY(sequence.extend(std::span(&token, 1)));
        }
    }
    completion.finish = FinishReason::length;
    return {};
}

} // namespace

Result<Completion> complete(LiveSequence& sequence, const CompletionOptions& options,
                            const TextReceiver& receive) {
    PIE_CHECK(!sequence.logits().empty(), "a sequence is updated before it is completed");
    const auto start = Clock::now();
    const int32_t n_tokens = sequence.n_tokens();
    std::vector<float> logits(sequence.logits().begin(), sequence.logits().end());
    Completion completion;
    const auto generated = generate(sequence, options, receive, completion);
    sequence.rewind(n_tokens, std::move(logits));
    PIE_TRY(generated);
    completion.milliseconds = milliseconds_since(start);
    return completion;
}

} // namespace pie
