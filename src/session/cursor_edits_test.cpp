// Edits that end at the cursor or just before it, with a token ahead of it: whatever source holds the tokens
// there (the sequence itself, evicted cells, peers), the logits of both are computed, and are those of what
// is wanted.

#include "base/test_fixtures.h"
#include "cache/random_edits.h"
#include "session/live_sequence.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <random>
#include <vector>

namespace pie {
namespace {

using testing::relative_error;
using testing::TinyModel;

const TinyModel description{.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64};
constexpr int32_t n_words = testing::tiny_vocabulary_size - 4; // control tokens stand behind them
constexpr size_t n_tokens_most = 160;

// Two people's sequences, who take over from each other what they hold alike.
struct Pair {
    std::unique_ptr<LoadedModel> model = testing::load_tiny_model(description);
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    std::array<std::unique_ptr<KvCache>, 2> caches = {*KvCache::create(*model, {.n_cells = 768}),
                                                      *KvCache::create(*model, {.n_cells = 768})};
    std::array<LiveSequence, 2> sequences = {LiveSequence(*engine, *caches[0]),
                                             LiveSequence(*engine, *caches[1])};

    Pair() {
        for (LiveSequence& sequence : sequences) {
            sequence.set_donors([this] { return std::vector{&sequences[0], &sequences[1]}; });
        }
    }

    size_t n_vocab() const { return static_cast<size_t>(model->vocabulary().size()); }

    void update(LiveSequence& sequence, const Tokens& wanted, std::optional<TokenId> ahead) {
        const auto report = sequence.update(wanted, {}, {}, ahead);
        REQUIRE_MESSAGE(report.has_value(), report.error().message);
        caches[&sequence == &sequences[0] ? 0 : 1]->cells().check_invariant();
        REQUIRE(std::ranges::equal(sequence.tokens(), wanted));
        REQUIRE(sequence.logits().size() == n_vocab());
    }

    // Goes on by one token, as decoding does, and takes it back.
    void extend(LiveSequence& sequence, TokenId token) {
        const std::vector<float> before(sequence.logits().begin(), sequence.logits().end());
        const int32_t n_tokens = sequence.n_tokens();
        const auto logits = sequence.extend(std::span(&token, 1));
        REQUIRE(logits.has_value());
        REQUIRE(logits->size() == n_vocab());
        sequence.rewind(n_tokens, before);
    }

    void check_healed(LiveSequence& sequence, TokenId last) {
        while (sequence.heal(512).value() > 0) {
        }
        Tokens wanted(sequence.tokens().begin(), sequence.tokens().end());
        wanted.push_back(last);
        update(sequence, wanted, {});
        const std::unique_ptr<KvCache> cache = *KvCache::create(*model, {.n_cells = 768});
        LiveSequence fresh(*engine, *cache);
        REQUIRE(fresh.update(wanted, {.method = ReuseMethod::full}).has_value());
        CHECK(relative_error({sequence.logits().begin(), sequence.logits().end()},
                             {fresh.logits().begin(), fresh.logits().end()}) < 4e-3);
    }
};

// One person's text, and what they may do to it near its end.
struct Typist {
    Tokens text;
    Tokens clipboard = {};
    std::vector<Tokens> earlier = {};

    void edit(std::mt19937& random, const Tokens& others) {
        earlier.push_back(text);
        const auto n_behind =
            static_cast<std::ptrdiff_t>(random() % 3); // tokens between the edit and the cursor
        const auto place = [&] { return text.end() - std::min(n_behind, std::ssize(text)); };
        enum { type, cut, paste, undo, take, erase, n_kinds };
        switch (random() % n_kinds) {
        case type: {
            const Tokens typed = uniform_tokens(random, 1 + random() % 6, n_words);
            text.insert(place(), typed.begin(), typed.end());
            break;
        }
        case cut: {
            const Cut block = random_cut(random, text, 60);
            clipboard.assign(text.begin() + block.begin, text.begin() + block.end);
            text.erase(text.begin() + block.begin, text.begin() + block.end);
            break;
        }
        case paste:
            text.insert(place(), clipboard.begin(), clipboard.end());
            break;
        case undo:
            text = earlier[random() % earlier.size()];
            break;
        case take: {
            const Cut block = random_cut(random, others, 60);
            text.insert(place(), others.begin() + block.begin, others.begin() + block.end);
            break;
        }
        case erase:
            text.erase(place() - std::min<std::ptrdiff_t>(3, place() - text.begin()), place());
            break;
        default:
            break;
        }
        if (text.size() > n_tokens_most) {
            text.erase(text.begin() + 20, text.end() - 100);
        }
        if (text.size() < 20) {
            const Tokens more = uniform_tokens(random, 60, n_words);
            text.insert(text.end(), more.begin(), more.end());
        }
        if (earlier.size() > 8) {
            earlier.erase(earlier.begin());
        }
    }
};

} // namespace

TEST_CASE("a block that was cut and is pasted before the cursor leaves both rows of logits to be computed") {
    Pair pair;
    LiveSequence& sequence = pair.sequences[0];
    std::mt19937 random(1);
    const Tokens head = uniform_tokens(random, 20, n_words);
    const Tokens line = uniform_tokens(random, 60, n_words);
    Tokens tail = uniform_tokens(random, 30, n_words);
    const auto joined = [](std::initializer_list<Tokens> parts) {
        Tokens all;
        for (const Tokens& part : parts) {
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    };
    const TokenId ahead = line.back();
    pair.update(sequence, joined({head, line, tail}), TokenId(5));
    pair.update(sequence, joined({head, tail}), TokenId(5));
    // The token ahead ends the block, too.
    const Tokens before(line.begin(), line.end() - 1);
    pair.update(sequence, joined({head, tail, before}), ahead);
    pair.extend(sequence, ahead);
    pair.check_healed(sequence, TokenId(6));
    pair.update(sequence, joined({head, tail}), TokenId(5));
    pair.update(sequence, joined({head, tail, line}), TokenId(5)); // behind the block
    pair.extend(sequence, TokenId(5));
}

TEST_CASE("any edits at the cursor, of one's own tokens and of others', leave logits of what is wanted") {
    const unsigned n_edits = number_from_environment("PIE_TEST_EDITS", 1500);
    const unsigned seed = number_from_environment("PIE_TEST_SEED", 1);
    MESSAGE("PIE_TEST_SEED=" << seed << " PIE_TEST_EDITS=" << n_edits);
    std::mt19937 random(seed);
    Pair pair;
    std::array<Typist, 2> typists = {Typist{.text = uniform_tokens(random, 100, n_words)},
                                     Typist{.text = uniform_tokens(random, 100, n_words)}};
    for (unsigned i = 0; i < n_edits; ++i) {
        CAPTURE(i);
        const size_t who = random() % 2;
        LiveSequence& sequence = pair.sequences[who];
        Typist& typist = typists[who];
        typist.edit(random, typists[1 - who].text);
        const TokenId next(static_cast<int32_t>(random() % n_words));
        const bool is_ahead = random() % 4 != 0;
        pair.update(sequence, typist.text, is_ahead ? std::optional(next) : std::nullopt);
        pair.extend(sequence, random() % 2 == 0 ? next : TokenId(7));
        if (random() % 8 == 0) {
            REQUIRE(sequence.heal(64).has_value());
        }
        if (i % 50 == 49) {
            pair.check_healed(sequence, next);
        }
    }
}

} // namespace pie
