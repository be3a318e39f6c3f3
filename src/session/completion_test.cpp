// Completions of tiny random models: what ends them, what they tell, and that they leave no trace. Drafting
// must not change what is written.

#include "session/character_joiner.h"
#include "session/completion.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>

namespace pie {
namespace {

using testing::random_tokens;
using testing::TinyModel;

const TinyModel small{.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64};

// In f32, so that batches of different sizes differ by as little as can be.
struct Live {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<KvCache> cache;
    std::unique_ptr<Engine> engine;
    LiveSequence sequence;
    std::vector<TokenId> prompt;
    std::vector<float> logits;

    explicit Live(const TinyModel& description = small, int32_t n_cells = 512, int32_t n_prompt = 60)
        : model(testing::load_tiny_model(description)),
          cache(*KvCache::create(*model,
                                 {.n_cells = n_cells, .type_k = GGML_TYPE_F32, .type_v = GGML_TYPE_F32})),
          engine(*Engine::create(*model, {.n_threads = 1})), sequence(*engine, *cache),
          prompt(random_tokens(n_prompt, description.seed)) {
        std::ranges::replace_if(
            prompt, [this](TokenId token) { return model->vocabulary().is_control(token); }, TokenId('x'));
        REQUIRE(sequence.update(prompt, {}).has_value());
        logits.assign(sequence.logits().begin(), sequence.logits().end());
    }

    // Every token that has a part in the text is received with it, and none twice.
    static void check_received(const Completion& completion, const std::vector<TokenId>& tokens,
                               const std::vector<size_t>& text_ends) {
        REQUIRE(tokens.size() <= completion.tokens.size());
        CHECK(std::ranges::equal(tokens, std::span(completion.tokens).first(tokens.size())));
        CHECK(std::ranges::equal(text_ends, std::span(completion.text_ends).first(tokens.size())));
        CHECK((text_ends.empty() ? 0 : text_ends.back()) >= completion.text.size());
        for (size_t i = tokens.size(); i < completion.tokens.size(); ++i) {
            CHECK((i == 0 ? 0 : completion.text_ends[i - 1]) >= completion.text.size());
        }
    }

    void check_unchanged() {
        CHECK(std::ranges::equal(sequence.tokens(), prompt));
        CHECK(std::ranges::equal(sequence.logits(), logits));
        cache->cells().check_invariant();
    }

    Completion complete(const CompletionOptions& options, const TextReceiver& receive = {}) {
        std::string received;
        std::vector<TokenId> tokens;
        std::vector<size_t> text_ends;
        size_t n_probabilities = 0;
        const auto completion = pie::complete(sequence, options, [&](const TextPart& part) {
            CHECK_FALSE(part.text.empty());
            CHECK(part.begin == received.size());
            received += part.text;
            tokens.insert(tokens.end(), part.tokens.begin(), part.tokens.end());
            text_ends.insert(text_ends.end(), part.text_ends.begin(), part.text_ends.end());
            n_probabilities += part.probabilities.size();
            return receive ? receive(part) : StreamControl::go_on;
        });
        REQUIRE_MESSAGE(completion.has_value(), completion.error().message);
        CHECK(received == completion->text);
        check_received(*completion, tokens, text_ends);
        CHECK(n_probabilities == (options.n_probs > 0 ? tokens.size() : 0));
        CHECK(std::ssize(completion->tokens) <= options.n_predict);
        check_unchanged();
        return *completion;
    }
};

CompletionOptions drawing(int32_t n_predict, uint32_t seed) {
    CompletionOptions options{.n_predict = n_predict};
    options.sampling.temperature = 1;
    options.sampling.top_k = 0;
    options.sampling.top_p = 1;
    options.sampling.min_p = 0;
    options.sampling.seed = seed;
    return options;
}

} // namespace

TEST_CASE("a completion ends after n_predict tokens, or where the context is full") {
    Live live;
    CHECK(live.complete({.n_predict = 0}).tokens.empty());
    const Completion one = live.complete({.n_predict = 1});
    CHECK(one.tokens.size() == 1);
    CHECK(one.finish == FinishReason::length);
    const Completion ten = live.complete({.n_predict = 10});
    CHECK(ten.tokens.size() == 10);
    CHECK(ten.tokens.front() == one.tokens.front());

    for (const int32_t draft_max : {0, 16}) {
        Live tight(small, 256, 250);
        const Completion full = tight.complete({.n_predict = 100, .draft_max = draft_max});
        CHECK(full.finish == FinishReason::context);
        CHECK(full.tokens.size() == 7); // the last one needs no cell
    }
}

TEST_CASE("a stop string ends the text, whatever tokens it is made of") {
    Live live;
    const std::string text = live.complete({.n_predict = 30}).text;
    for (size_t at = 0; at + 3 < text.size(); ++at) {
        const std::string string = text.substr(at, 3);
        CAPTURE(at);
        const Completion stopped = live.complete({.n_predict = 30, .stop = {.strings = {string}}});
        CHECK(stopped.text == text.substr(0, text.find(string)));
        CHECK(stopped.finish == FinishReason::stop_string);
    }
}

TEST_CASE("a stop string that names a control token ends at the token, which writes no text") {
    Live live;
    const Vocabulary& vocabulary = live.model->vocabulary();
    const TokenId middle = *vocabulary.fim()->middle;
    CompletionOptions options{.n_predict = 4};
    options.sampling.logit_bias = {{middle, 1e6F}};
    CHECK(live.complete(options).finish == FinishReason::length);
    options.stop.strings = {"}", "<fim_middle>"};
    const Completion stopped = live.complete(options);
    CHECK(stopped.finish == FinishReason::stop_string);
    CHECK(stopped.stop_string == "<fim_middle>");
    CHECK(stopped.tokens == std::vector<TokenId>{middle});
    CHECK(stopped.text.empty());
}

TEST_CASE("the text comes in whole tokens, but for one that a stop string cuts short") {
    Live live;
    const Completion whole = live.complete({.n_predict = 30});
    for (size_t i = 1; i + 1 < whole.text.size(); ++i) {
        const std::string word = whole.text.substr(i, 2);
        if (std::ranges::any_of(word, [](char c) { return (static_cast<unsigned char>(c) & 0x80U) != 0; })) {
            continue;
        }
        CAPTURE(word);
        // One is found; of the other each letter may begin it.
        const StopOptions stop{.strings = {word, whole.text.substr(0, i) + "\x01"}};
        size_t n_cut = 0;
        const auto receive = [&n_cut](const TextPart& part) {
            CHECK(n_cut == 0);
            n_cut += part.text_ends.back() == part.begin + part.text.size() ? 0 : 1;
            return StreamControl::go_on;
        };
        const Completion cut = live.complete({.n_predict = 30, .stop = stop, .n_probs = 1}, receive);
        CHECK(cut.text == whole.text.substr(0, whole.text.find(word)));
    }
}

TEST_CASE("who receives the text can end it") {
    Live live;
    const std::string text = live.complete({.n_predict = 30}).text;
    size_t n = 0;
    const auto receive = [&n](std::string_view) {
        return ++n == 3 ? StreamControl::stop : StreamControl::go_on;
    };
    const Completion stopped = live.complete({.n_predict = 30}, receive);
    CHECK(stopped.finish == FinishReason::stopped);
    CHECK(n == 3);
    CHECK(text.starts_with(stopped.text));
    CHECK(stopped.text.size() < text.size());
}

TEST_CASE("the time limit and the indentation rule end a completion at a line") {
    Live live;
    CompletionOptions options = drawing(400, 1);
    std::string text = live.complete(options).text;
    const auto line_break_of = [](const std::string& t) { return std::min(t.find('\n'), t.size()); };
    while (line_break_of(text) + 2 >= text.size()) {
        ++options.sampling.seed;
        text = live.complete(options).text;
    }
    const size_t line_break = line_break_of(text);
    CompletionOptions hasty = options;
    hasty.stop.predict_milliseconds_max = 1e-6;
    const Completion late = live.complete(hasty);
    CHECK(late.finish == FinishReason::time_limit);
    CHECK(late.text == text.substr(0, line_break + 1));
    CompletionOptions indented = options;
    indented.stop.n_indent = 1;
    const Completion outdent = live.complete(indented);
    CHECK(outdent.finish == FinishReason::indentation);
    CHECK(outdent.text == text.substr(0, line_break + 1));
}

TEST_CASE("penalties look back on the prompt and on what was written") {
    Live live;
    CompletionOptions options{.n_predict = 40};
    const auto repeats = [&live](const Completion& completion) {
        std::set<TokenId> seen(live.prompt.begin(), live.prompt.end());
        return !std::ranges::all_of(completion.tokens, [&seen](TokenId t) { return seen.insert(t).second; });
    };
    CHECK(repeats(live.complete(options)));
    options.sampling.presence_penalty = 1e4F;
    options.sampling.penalty_last_n = 512;
    const Completion fresh = live.complete(options);
    CHECK_FALSE(repeats(fresh));
    options.draft_max = 8;
    CHECK(live.complete(options).tokens == fresh.tokens);
}

TEST_CASE("each token's probabilities are told where they are asked for") {
    Live live;
    const Completion completion = live.complete({.n_predict = 5, .n_probs = 3});
    REQUIRE(completion.probabilities.size() == completion.tokens.size());
    double sum = 0;
    for (const float logit : live.logits) {
        sum += std::exp(static_cast<double>(logit));
    }
    const double first = live.logits[static_cast<size_t>(completion.tokens.front().value)] - std::log(sum);
    CHECK(completion.probabilities.front().taken.log_probability == doctest::Approx(first));
    for (size_t i = 0; i < completion.tokens.size(); ++i) {
        CHECK(completion.probabilities[i].taken.token == completion.tokens[i]);
        REQUIRE(completion.probabilities[i].likeliest.size() == 3);
        CHECK(completion.probabilities[i].likeliest.front().token == completion.tokens[i]); // greedy
    }
    CompletionOptions options = drawing(5, 1);
    options.sampling.top_k = 2;
    options.n_probs = 3;
    options.probabilities = ProbabilityKind::after_sampling;
    for (const TokenProbabilities& entry : live.complete(options).probabilities) {
        REQUIRE(entry.likeliest.size() == 2);
        CHECK(std::exp(entry.likeliest[0].log_probability) + std::exp(entry.likeliest[1].log_probability) ==
              doctest::Approx(1.0));
    }
    CHECK(live.complete({.n_predict = 5}).probabilities.empty());
}

TEST_CASE("alternatives are the completions of one seed after the other") {
    // Room for all beside each other, for two of them, and for one alone.
    for (const int32_t n_cells : {512, 160, 120}) {
        CAPTURE(n_cells);
        Live live(small, n_cells);
        CompletionOptions options = drawing(50, 5);
        std::vector<std::string> heard(3);
        const auto several =
            complete_several(live.sequence, options, 3, [&](int32_t i, std::string_view text) {
                heard[static_cast<size_t>(i)] += text;
                return StreamControl::go_on;
            });
        REQUIRE(several.has_value());
        live.check_unchanged();
        REQUIRE(several->size() == 3);
        for (size_t i = 0; i < 3; ++i) {
            const Completion alone = live.complete(options);
            CHECK((*several)[i].tokens == alone.tokens);
            CHECK((*several)[i].text == alone.text);
            CHECK((*several)[i].finish == alone.finish);
            CHECK(heard[i] == alone.text);
            ++options.sampling.seed;
        }
        CHECK((*several)[0].tokens != (*several)[1].tokens);
    }
    Live live;
    const auto greedy = complete_several(live.sequence, {.n_predict = 12}, 2);
    REQUIRE(greedy.has_value());
    REQUIRE(greedy->size() == 2);
    CHECK((*greedy)[1].text == (*greedy)[0].text);
}

TEST_CASE("an alternative that ends does not end the others") {
    Live live;
    const CompletionOptions options = drawing(30, 5);
    const auto whole = complete_several(live.sequence, options, 3).value();
    const auto several = complete_several(live.sequence, options, 3, [&](int32_t i, std::string_view) {
        return i == 1 ? StreamControl::stop : StreamControl::go_on;
    });
    REQUIRE(several.has_value());
    live.check_unchanged();
    CHECK((*several)[0].tokens == whole[0].tokens);
    CHECK((*several)[1].finish == FinishReason::stopped);
    CHECK((*several)[1].tokens.size() < whole[1].tokens.size());
    CHECK((*several)[2].tokens == whole[2].tokens);
}

TEST_CASE("what is refused or cancelled leaves the sequence as it was") {
    Live live;
    CompletionOptions wrong{.n_predict = 5};
    wrong.sampling.top_p = 2;
    const auto refused = complete(live.sequence, wrong);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ErrorCode::invalid_argument);
    live.check_unchanged();

    std::atomic<bool> cancel = false;
    live.engine->set_cancel_flag(&cancel);
    const auto several = complete_several(live.sequence, drawing(50, 1), 3, [&](int32_t, std::string_view) {
        cancel = true;
        return StreamControl::go_on;
    });
    REQUIRE_FALSE(several.has_value());
    CHECK(several.error().code == ErrorCode::cancelled);
    live.check_unchanged();
    for (const int32_t draft_max : {0, 8}) {
        cancel = false;
        const auto cancelled =
            complete(live.sequence, {.n_predict = 50, .draft_max = draft_max}, [&](std::string_view) {
                cancel = true;
                return StreamControl::go_on;
            });
        REQUIRE_FALSE(cancelled.has_value());
        CHECK(cancelled.error().code == ErrorCode::cancelled);
        live.check_unchanged();
    }
}

TEST_CASE("drafting does not change a completion, and some drafts are right, some wrong") {
    int32_t n_drafted = 0;
    int32_t n_accepted = 0;
    for (uint32_t seed = 1; seed <= 8; ++seed) {
        CAPTURE(seed);
        TinyModel description = small;
        description.seed = seed;
        Live live(description);
        const Completion plain = live.complete({.n_predict = 150, .draft_max = 0});
        CHECK(plain.tokens_drafted == 0);
        for (const int32_t draft_max : {1, 3, 16}) {
            CAPTURE(draft_max);
            const Completion drafted = live.complete({.n_predict = 150, .draft_max = draft_max});
            CHECK(drafted.tokens == plain.tokens);
            CHECK(drafted.text == plain.text);
            CHECK(drafted.finish == plain.finish);
            CHECK(drafted.tokens_accepted <= drafted.tokens_drafted);
            n_drafted += drafted.tokens_drafted;
            n_accepted += drafted.tokens_accepted;
        }
        CHECK(live.complete({.n_predict = 150}).tokens == plain.tokens); // as this machine's batches have it
    }
    CHECK(n_accepted > 100);
    CHECK(n_drafted - n_accepted > 100);
}

TEST_CASE("nothing is drafted before there is text to show") {
    Live live;
    std::vector<TokenId> prompt;
    for (const char c : std::string_view("wxyz\xc3\xa4 wxyz")) {
        prompt.emplace_back(static_cast<uint8_t>(c));
    }
    REQUIRE(live.sequence.update(prompt, {}).has_value());
    const Completion completion =
        complete(live.sequence, {.n_predict = 3, .draft_max = 8}, {}, "\xc3\xa4").value();
    REQUIRE(completion.tokens.size() == 3);
    CHECK(completion.tokens[0] == prompt[4]); // behind which the prompt foretells the next
    CHECK(completion.tokens[1] == prompt[5]);
    CHECK(completion.tokens_drafted == 0);
}

TEST_CASE("draws are not drafted") {
    Live live;
    CompletionOptions options = drawing(50, 2);
    options.draft_max = 8;
    CHECK(live.complete(options).tokens_drafted == 0);
}

TEST_CASE("a completion begins with what is begun, and leaves it out") {
    for (const uint32_t seed : {1U, 2U, 3U}) {
        TinyModel description = small;
        description.seed = seed;
        Live live(description);
        const Vocabulary& vocabulary = live.model->vocabulary();
        for (const std::string begun : {"a", "ab", "to", " in", "\xc3\xa4x"}) {
            CAPTURE(begun);
            const Completion completion =
                complete(live.sequence, {.n_predict = 12, .draft_max = 0}, {}, begun).value();
            // By looking at all tokens: the likeliest at each place of those that begin with what is left, or
            // where none does, of those that it begins with.
            std::string left = begun;
            std::string written;
            std::vector<TokenId> expected;
            while (!left.empty()) {
                const std::vector<float> logits =
                    expected.empty()
                        ? live.logits
                        : std::vector<float>(live.sequence.logits().begin(), live.sequence.logits().end());
                std::optional<TokenId> whole;
                std::optional<TokenId> part;
                for (int32_t i = 0; i < vocabulary.size(); ++i) {
                    const std::string piece = vocabulary.piece(TokenId(i));
                    std::optional<TokenId>& best = piece.starts_with(left) ? whole : part;
                    const bool agrees = piece.starts_with(left) || left.starts_with(piece);
                    if (!piece.empty() && agrees &&
                        (!best ||
                         logits[static_cast<size_t>(i)] > logits[static_cast<size_t>(best->value)])) {
                        best = TokenId(i);
                    }
                }
                const std::optional<TokenId> best = whole ? whole : part;
                REQUIRE(best.has_value());
                expected.push_back(*best);
                const std::string piece = vocabulary.piece(*best);
                left.erase(0, std::min(left.size(), piece.size()));
                REQUIRE(live.sequence.extend(std::span(&*best, 1)));
            }
            live.sequence.rewind(static_cast<int32_t>(live.prompt.size()), live.logits);
            REQUIRE(completion.tokens.size() >= expected.size());
            CHECK(std::equal(expected.begin(), expected.end(), completion.tokens.begin()));
            for (const TokenId token : completion.tokens) {
                written += vocabulary.piece(token);
            }
            CHECK(written.starts_with(begun));
            CharacterJoiner joiner; // what a random model writes is not always UTF-8
            CHECK(joiner.push(written.substr(begun.size())) == completion.text);
        }
    }
}

} // namespace pie
