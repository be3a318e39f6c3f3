// Random edit scripts on tiny models: the sequence equals a rebuild, the logits those of a full recompute
// where theory says so, and nothing that failed or was cancelled leaves a trace.

#include "cache/random_edits.h"
#include "session/live_sequence.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <random>
#include <ranges>

namespace pie {
namespace {

using testing::random_tokens;
using testing::relative_error;
using testing::TinyModel;

const TinyModel small{.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64};
const ReuseOptions full{.method = ReuseMethod::full};
const ReuseOptions pie_alone{.method = ReuseMethod::pie};
const ReuseOptions seam_to_the_end{.method = ReuseMethod::pie_seam, .seam = 1'000'000};

struct Live {
    std::unique_ptr<KvCache> cache;
    std::unique_ptr<Engine> engine;
    LiveSequence sequence;

    explicit Live(const LoadedModel& model, int32_t n_batch = 512, int32_t n_cells = 512,
                  KernelPath attention = KernelPath::host_first)
        : cache(*KvCache::create(model, {.n_cells = n_cells})),
          engine(*Engine::create(model, {.n_threads = 1, .n_batch = n_batch, .attention = attention})),
          sequence(*engine, *cache) {}

    UpdateReport update(std::span<const TokenId> wanted, const ReuseOptions& options) {
        const auto report = sequence.update(wanted, options);
        REQUIRE_MESSAGE(report.has_value(), report.error().message);
        cache->cells().check_invariant();
        CHECK(std::ranges::equal(cache->cells().tokens(), wanted));
        CHECK(report->tokens_context == std::ssize(wanted));
        CHECK(report->tokens_kept + report->tokens_encoded == report->tokens_context);
        CHECK(report->tokens_moved <= report->tokens_kept);
        return *report;
    }
    // Returns how many tokens it encoded.
    int32_t heal_all() {
        int32_t n_healed = 0;
        for (int32_t n = 1; n > 0; n_healed += n) {
            n = sequence.heal(64).value();
        }
        return n_healed;
    }
    std::vector<float> logits() const { return {sequence.logits().begin(), sequence.logits().end()}; }
};

// A full recompute of its own.
std::vector<float> recompute(const LoadedModel& model, std::span<const TokenId> wanted,
                             KernelPath attention = KernelPath::host_first) {
    Live live(model, 512, 512, attention);
    live.update(wanted, full);
    return live.logits();
}

void edit(std::mt19937& random, std::vector<TokenId>& tokens) {
    for (int n = 1 + static_cast<int>(random() % 3); n > 0; --n) {
        const auto inserted = uniform_tokens(random, 1 + random() % 12, testing::tiny_vocabulary_size);
        edit_at_random(random, tokens, inserted, 40);
    }
    tokens.resize(std::clamp<size_t>(tokens.size(), 60, 200), TokenId(7));
}

// Errors of a script's logits against full recomputes, and the noise between two full recomputes that differ
// in their attention's kernel: rounding alone.
struct Errors {
    int n = 0;
    double sum = 0;
    double noise_sum = 0;
};

// What a number loses at most when it is rounded to half precision once more, as keys are when they move.
constexpr double half_rounding = 0x1p-11;

Errors run_scripts(const LoadedModel& model, const ReuseOptions& options) {
    Errors errors;
    for (uint32_t seed = 1; seed <= 3; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        std::vector<TokenId> wanted = uniform_tokens(random, 100, testing::tiny_vocabulary_size);
        Live live(model);
        for (int update = 0; update < 5; ++update) {
            CAPTURE(update);
            live.update(wanted, options);
            const std::vector<float> expected = recompute(model, wanted);
            ++errors.n;
            errors.sum += relative_error(live.logits(), expected);
            errors.noise_sum += relative_error(recompute(model, wanted, KernelPath::graph), expected);
            edit(random, wanted);
        }
    }
    return errors;
}

// Of so many tokens, less the control tokens among them, which every edit encodes again.
std::vector<TokenId> random_text(const LoadedModel& model, int32_t n_tokens, uint32_t seed) {
    std::vector<TokenId> text = random_tokens(n_tokens, seed);
    std::erase_if(text, [&](TokenId token) { return model.vocabulary().is_control(token); });
    return text;
}

} // namespace

TEST_CASE("after any edit script the sequence is the one wanted, by every method") {
    const auto model = testing::load_tiny_model(small);
    for (const ReuseMethod method :
         {ReuseMethod::full, ReuseMethod::cfe, ReuseMethod::pie, ReuseMethod::pie_seam}) {
        CAPTURE(static_cast<int>(method));
        for (uint32_t seed = 1; seed <= 4; ++seed) {
            CAPTURE(seed);
            std::mt19937 random(seed);
            std::vector<TokenId> wanted = uniform_tokens(random, 150, testing::tiny_vocabulary_size);
            Live live(*model, 64);
            for (int update = 0; update < 12; ++update) {
                CAPTURE(update);
                const UpdateReport report = live.update(wanted, {.method = method});
                CHECK((method != ReuseMethod::full || report.tokens_kept == 0));
                CHECK(live.cache->cells().pending_rotations().empty());
                edit(random, wanted);
            }
        }
    }
}

TEST_CASE("what is appended gives llama_decode's logits to the bit") {
    const auto model = testing::load_tiny_model({.architecture = "qwen2"});
    const std::vector<TokenId> tokens = random_tokens(190, 3);
    Live live(*model, 64, 512, KernelPath::graph);
    testing::Reference reference(*model, {.n_batch = 64});
    std::vector<float> expected;
    const auto decode = [&](size_t begin, size_t end) {
        const auto last = static_cast<int32_t>(end - begin) - 1;
        expected = reference.decode(std::span(tokens).subspan(begin, end - begin), std::span(&last, 1));
    };
    decode(0, 64);
    decode(64, 128);
    decode(128, 150);
    live.update(std::span(tokens).first(150), {});
    CHECK(testing::bit_difference(live.logits(), expected) == "");
    for (const size_t n : {1U, 30U}) {
        const size_t begin = static_cast<size_t>(live.sequence.n_tokens());
        decode(begin, begin + n);
        const UpdateReport report = live.update(std::span(tokens).first(begin + n), {});
        CHECK(report.tokens_encoded == static_cast<int32_t>(n));
        CHECK(testing::bit_difference(live.logits(), expected) == "");
    }
    constexpr std::array<int32_t, 3> all = {0, 1, 2};
    const auto three = std::span(tokens).subspan(181, 3);
    expected = reference.decode(three, all);
    const auto logits = live.sequence.extend(three);
    REQUIRE(logits.has_value());
    CHECK(testing::bit_difference(*logits, expected) == "");
    CHECK(std::ranges::equal(live.logits(), std::span(expected).last(testing::tiny_vocabulary_size)));
    CHECK(live.sequence.n_tokens() == 184);
}

TEST_CASE("with the seam set to the whole rest the logits are those of a full recompute") {
    for (const char* architecture : {"llama", "starcoder2"}) {
        CAPTURE(std::string(architecture));
        TinyModel description = small;
        description.architecture = architecture;
        const auto model = testing::load_tiny_model(description);
        const Errors exact = run_scripts(*model, seam_to_the_end);
        CHECK(exact.sum < exact.noise_sum);
        // Without a seam the second layer's rows are stale, which this measure must see.
        const Errors stale = run_scripts(*model, pie_alone);
        CHECK(stale.sum > 5 * stale.noise_sum);
    }
}

TEST_CASE("in a model of one layer a moved key is as good as a new one") {
    for (const char* architecture : {"llama", "qwen2"}) {
        CAPTURE(std::string(architecture));
        TinyModel description = small;
        description.architecture = architecture;
        description.n_layer = 1;
        const auto model = testing::load_tiny_model(description);
        const Errors moved = run_scripts(*model, pie_alone);
        CHECK(moved.sum < moved.n * half_rounding);
        const Errors conflicting = run_scripts(*model, {.method = ReuseMethod::cfe});
        CHECK(conflicting.sum > 20 * moved.sum);
    }
}

TEST_CASE("where time is short, seams are shorter and nothing is repaired") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    std::mt19937 random(1);
    std::vector<TokenId> tokens = uniform_tokens(random, 200, testing::tiny_vocabulary_size);
    live.update(tokens, {});
    const auto encoded_for = [&](const ReuseOptions& options) {
        for (const int place : {40, 80, 120}) {
            tokens[static_cast<size_t>(place)] =
                TokenId(1 + (tokens[static_cast<size_t>(place)].value + 1) % 200);
        }
        return live.update(tokens, options).tokens_encoded;
    };
    CHECK(encoded_for({.repair = 0}) == 3 * (1 + 8) + 1);
    CHECK(encoded_for({.repair = 0, .milliseconds = 1e-9}) == 3 * (1 + 2) + 1);
    CHECK(encoded_for({.repair = 64, .milliseconds = 1e-9}) == 3 * (1 + 2) + 1);
    CHECK(encoded_for({.repair = 0, .milliseconds = 1e9}) == 3 * (1 + 8) + 1);
}

TEST_CASE("the method that ignores edits keeps sequence and logits") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    const std::vector<TokenId> before = random_tokens(50, 1);
    live.update(before, {.method = ReuseMethod::reuse}); // nothing to reuse yet
    const std::vector<float> logits = live.logits();
    const auto report = live.sequence.update(random_tokens(60, 2), {.method = ReuseMethod::reuse});
    REQUIRE(report.has_value());
    CHECK(report->tokens_encoded == 0);
    CHECK(std::ranges::equal(live.cache->cells().tokens(), before));
    CHECK(live.logits() == logits);
}

TEST_CASE("what does not fit is refused and changes nothing") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model, 64, 256);
    const std::vector<TokenId> before = random_tokens(256, 1);
    live.update(before, {});
    const std::vector<float> logits = live.logits();
    const auto update = live.sequence.update(random_tokens(257, 1), {});
    REQUIRE_FALSE(update.has_value());
    CHECK(update.error().code == ErrorCode::too_large);
    const auto extended = live.sequence.extend(random_tokens(1, 1));
    REQUIRE_FALSE(extended.has_value());
    CHECK(extended.error().code == ErrorCode::too_large);
    CHECK(std::ranges::equal(live.cache->cells().tokens(), before));
    CHECK(live.logits() == logits);

    live.sequence.rewind(100, logits);
    CHECK(std::ranges::equal(live.cache->cells().tokens(), std::span(before).first(100)));
    live.update(random_tokens(256, 2), full); // no cell to spare
}

TEST_CASE("a cancelled update leaves the sequence before it, and the next one is right") {
    TinyModel description = small;
    description.n_layer = 1; // where what is kept is exact
    const auto model = testing::load_tiny_model(description);
    std::mt19937 random(1);
    for (const int32_t n_done : {0, 16, 32}) { // tokens encoded when the flag is set
        for (const ReuseMethod method : {ReuseMethod::pie, ReuseMethod::cfe, ReuseMethod::full}) {
            CAPTURE(n_done);
            CAPTURE(static_cast<int>(method));
            Live live(*model, 16);
            std::vector<TokenId> before = random_tokens(120, 1);
            live.update(before, {});
            const std::vector<float> logits = live.logits();

            std::vector<TokenId> wanted = before;
            const auto inserted = uniform_tokens(random, 60, testing::tiny_vocabulary_size);
            wanted.insert(wanted.begin() + 30, inserted.begin(), inserted.end());
            std::atomic<bool> cancel = n_done == 0;
            live.engine->set_cancel_flag(&cancel);
            const auto update = live.sequence.update(wanted, {.method = method},
                                                     [&](int32_t done, int32_t) { cancel = done >= n_done; });
            REQUIRE_FALSE(update.has_value());
            CHECK(update.error().code == ErrorCode::cancelled);
            live.cache->cells().check_invariant();
            if (method == ReuseMethod::pie && n_done > 0) { // batches that are whole stay
                std::vector<TokenId> kept = before;
                kept.insert(kept.begin() + 30, inserted.begin(), inserted.begin() + n_done);
                CHECK(std::ranges::equal(live.cache->cells().tokens(), kept));
                CHECK(live.logits().empty());
            } else {
                CHECK(std::ranges::equal(live.cache->cells().tokens(), before));
                CHECK(live.logits() == logits);
            }

            // As if nothing had been: one token more computes upon what is cached.
            cancel = false;
            before.push_back(TokenId(5));
            CHECK(live.update(before, pie_alone).tokens_encoded == 1);
            CHECK(relative_error(live.logits(), recompute(*model, before)) < 2e-3);
            live.update(wanted, pie_alone);
            CHECK(relative_error(live.logits(), recompute(*model, wanted)) < 2e-3);
            live.engine->set_cancel_flag(nullptr);
        }
    }
}

TEST_CASE("a cancelled update without cells to spare keeps only what was really encoded") {
    TinyModel description = small;
    description.n_layer = 1;
    const auto model = testing::load_tiny_model(description);
    Live live(*model, 32, 256);
    const std::vector<TokenId> before = random_tokens(200, 1);
    live.update(before, {});
    std::vector<TokenId> wanted = random_tokens(100, 2);
    wanted.insert(wanted.end(), before.end() - 120, before.end());

    std::atomic<bool> cancel = false;
    live.engine->set_cancel_flag(&cancel);
    const auto update =
        live.sequence.update(wanted, pie_alone, [&](int32_t done, int32_t) { cancel = done >= 32; });
    REQUIRE_FALSE(update.has_value());
    cancel = false;
    live.cache->cells().check_invariant();
    std::vector<TokenId> rest(wanted.begin(), wanted.begin() + 32); // the batch before the cancelled one
    rest.insert(rest.end(), before.end() - 120,
                before.end() - 1); // the last token would have been encoded again
    CHECK(std::ranges::equal(live.cache->cells().tokens(), rest));
    live.update(wanted, pie_alone);
    CHECK(relative_error(live.logits(), recompute(*model, wanted)) < 2e-3);
    live.engine->set_cancel_flag(nullptr);
}

// The texts of updates that are cut short, each after so many pieces.
struct CutUpdates {
    TinyModel description = small;
    std::unique_ptr<LoadedModel> model = testing::load_tiny_model(description);
    Live live{*model, 64, 1024};
    std::atomic<bool> cancel = false;
    const ReuseOptions in_pieces{.piece_milliseconds = 1e-6}; // of eight tokens

    CutUpdates() { live.engine->set_cancel_flag(&cancel); }

    // How many tokens were encoded when it was cut.
    int32_t cut(std::span<const TokenId> wanted, int32_t n_pieces) {
        int32_t n_encoded = 0;
        int32_t n_left = n_pieces;
        cancel = n_pieces == 0;
        const auto update = live.sequence.update(wanted, in_pieces, [&](int32_t done, int32_t) {
            n_encoded = done;
            cancel = --n_left <= 0;
        });
        REQUIRE_FALSE(update.has_value());
        CHECK(update.error().code == ErrorCode::cancelled);
        cancel = false;
        live.cache->cells().check_invariant();
        return n_encoded;
    }
};

TEST_CASE("what an update encoded before it was cut short is not encoded again") {
    CutUpdates updates;
    std::vector<TokenId> text = random_text(*updates.model, 220, 1);
    const int32_t first = updates.cut(text, 2);
    CHECK(first > 0);
    CHECK(std::ranges::equal(updates.live.sequence.tokens(), std::span(text).first(first)));
    const int32_t second = updates.cut(text, 3);
    CHECK(second > 0);
    const auto n = static_cast<int32_t>(text.size());
    CHECK(updates.live.update(text, updates.in_pieces).tokens_encoded == n - first - second);
    CHECK(testing::bit_difference(updates.live.logits(), recompute(*updates.model, text)) == "");

    // In the middle, where a seam follows.
    const std::vector<TokenId> inserted = random_text(*updates.model, 120, 2);
    text.insert(text.begin() + 60, inserted.begin(), inserted.end());
    const int32_t third = updates.cut(text, 4);
    CHECK(third >= 32);
    CHECK(updates.live.sequence.n_tokens() == n + third);
    // And somebody types on meanwhile.
    text.insert(text.begin() + 60 + std::ssize(inserted), TokenId(9));
    constexpr int32_t seams_and_last = 2 * 8 + 1;
    CHECK(updates.live.update(text, {.repair = 0}).tokens_encoded <=
          std::ssize(inserted) - third + 1 + seams_and_last);
    updates.live.heal_all();
    CHECK(testing::bit_difference(updates.live.logits(), recompute(*updates.model, text)) == "");
}

TEST_CASE("however often an update is cut short, it ends") {
    CutUpdates updates;
    std::vector<TokenId> text = random_text(*updates.model, 200, 1);
    updates.live.update(text, {});
    const std::vector<TokenId> inserted = random_text(*updates.model, 150, 2);
    text.insert(text.begin() + 60, inserted.begin(), inserted.end());
    updates.cancel = true; // always, at once
    int n_cut = 0;
    while (!updates.live.sequence.update(text, updates.in_pieces)) {
        REQUIRE(++n_cut < 60);
        updates.live.cache->cells().check_invariant();
    }
    CHECK(n_cut > 10);
    CHECK(std::ranges::equal(updates.live.sequence.tokens(), text));
    updates.cancel = false;
    updates.live.heal_all();
    CHECK(testing::bit_difference(updates.live.logits(), recompute(*updates.model, text)) == "");
}

TEST_CASE("a seam that a cut leaves out is encoded by the next update") {
    CutUpdates updates;
    const std::vector<TokenId> before = random_text(*updates.model, 160, 1);
    updates.live.update(before, updates.in_pieces);
    std::vector<TokenId> text = before;
    const std::vector<TokenId> inserted = random_text(*updates.model, 8, 2);
    text.insert(text.begin() + 60, inserted.begin(), inserted.end());
    const ReuseOptions plain{.repair = 0, .piece_milliseconds = 1e-6};
    Live whole(*updates.model, 64, 1024);
    whole.update(before, {});
    const UpdateReport expected = whole.update(text, plain);
    CHECK(updates.cut(text, 1) == std::ssize(inserted));
    CHECK(std::ranges::equal(updates.live.sequence.tokens(), text)); // with a stale seam
    CHECK(updates.live.update(text, plain).tokens_encoded == expected.tokens_encoded - std::ssize(inserted));
    CHECK(testing::bit_difference(updates.live.logits(), whole.logits()) == "");
}

TEST_CASE("a text that is cut short and taken back is the one before it") {
    CutUpdates updates;
    const std::vector<TokenId> before = random_text(*updates.model, 160, 1);
    updates.live.update(before, updates.in_pieces);
    std::vector<TokenId> text = before;
    const std::vector<TokenId> inserted = random_text(*updates.model, 60, 2);
    text.erase(text.begin() + 100, text.begin() + 120);
    text.insert(text.begin() + 60, inserted.begin(), inserted.end());
    updates.cut(text, 3);
    const UpdateReport back = updates.live.update(before, {.repair = 0});
    CHECK(back.tokens_encoded <= 2 * 8 + 1); // the seams of both places
    CHECK(updates.live.sequence.n_exact() == updates.live.sequence.n_tokens());
    updates.live.heal_all();
    CHECK(testing::bit_difference(updates.live.logits(), recompute(*updates.model, before)) == "");
}

// What somebody does who goes to and fro, with everything else that drops cells in between.
TEST_CASE("whatever is recalled, what is called exact is") {
    const auto model = testing::load_tiny_model(small);
    for (uint32_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        Live live(*model, 64, seed % 2 == 0 ? 256 : 1024);
        std::atomic<bool> cancel = false;
        std::vector<std::vector<TokenId>> texts = {
            uniform_tokens(random, 120, testing::tiny_vocabulary_size)};
        for (int step = 0; step < 24; ++step) {
            CAPTURE(step);
            if (random() % 2 == 0) {
                texts.push_back(texts[random() % texts.size()]);
                edit(random, texts.back());
            }
            const std::vector<TokenId>& wanted = texts[random() % texts.size()];
            cancel = random() % 5 == 0;
            live.engine->set_cancel_flag(&cancel);
            const int32_t n_before_cut = static_cast<int32_t>(random() % 60);
            (void)live.sequence.update(wanted, {.piece_milliseconds = 1e-6}, [&](int32_t done, int32_t) {
                cancel = cancel || (step % 3 == 0 && done > n_before_cut);
            });
            cancel = false;
            live.update(wanted, {});
            const std::vector<float> logits = live.logits();
            const std::vector<TokenId> more = uniform_tokens(random, 2, testing::tiny_vocabulary_size);
            if (random() % 2 == 0) {
                REQUIRE(live.sequence.extend(more));
            } else {
                REQUIRE(
                    live.sequence.extend_branches(std::array<BranchToken, 2>{{{0, more[0]}, {1, more[1]}}}));
            }
            live.sequence.rewind(static_cast<int32_t>(wanted.size()), logits);
            if (random() % 3 == 0) {
                REQUIRE(live.sequence.heal(static_cast<int32_t>(random() % 200)));
            }
            Live fresh(*model);
            fresh.update(wanted, full);
            const auto expected = testing::last_values(*fresh.cache);
            const auto values = testing::last_values(*live.cache);
            for (size_t i = 0; i < static_cast<size_t>(live.sequence.n_exact()); ++i) {
                CAPTURE(i);
                CHECK(relative_error(values[i], expected[i]) < 4e-3);
            }
        }
    }
}

TEST_CASE("a block that was cut is pasted elsewhere at the cost of seams") {
    for (const int32_t n_layer : {1, 2}) { // of one layer, what is kept is exact
        CAPTURE(n_layer);
        TinyModel description = small;
        description.n_layer = n_layer;
        const auto model = testing::load_tiny_model(description);
        Live live(*model);
        std::vector<TokenId> text = random_text(*model, 220, 1);
        live.update(text, {});
        const std::vector<TokenId> cut(text.begin() + 50, text.begin() + 90);
        text.erase(text.begin() + 50, text.begin() + 90);
        live.update(text, {.repair = 0});
        REQUIRE(text[120] != cut.front()); // else it might as well be pasted one token later
        REQUIRE(text[50] != cut.front());
        text.insert(text.begin() + 120, cut.begin(), cut.end());
        CHECK(live.update(text, {.repair = 0}).tokens_encoded == 8 + 8 + 1);
        CHECK(live.sequence.n_exact() == 50 + 8);
        if (n_layer == 1) {
            CHECK(relative_error(live.logits(), recompute(*model, text)) < 2e-3);
        }
        while (live.sequence.n_exact() < live.sequence.n_tokens()) {
            REQUIRE(live.sequence.heal(50));
        }
        text.emplace_back(7);
        CHECK(live.update(text, {}).tokens_encoded == 1);
        CHECK(relative_error(live.logits(), recompute(*model, text)) < 2e-3);
    }
}

TEST_CASE("a text that is gone back to costs what changed in it meanwhile") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    std::vector<TokenId> text = random_text(*model, 150, 1);
    live.update(text, {});
    live.update(random_text(*model, 150, 2), {});
    const std::vector<TokenId> more = {TokenId(100), TokenId(101), TokenId(102)};
    REQUIRE(text[40] != more.front());
    text.insert(text.begin() + 40, more.begin(), more.end());
    CHECK(live.update(text, {.repair = 0}).tokens_encoded == 3 + 8 + 1);
    CHECK(live.sequence.n_exact() == 40 + 3 + 8);
}

TEST_CASE("a cancelled extension is taken back") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    const std::vector<TokenId> before = random_tokens(20, 1);
    live.update(before, {});
    const std::vector<float> logits = live.logits();
    std::atomic<bool> cancel = true;
    live.engine->set_cancel_flag(&cancel);
    const auto extended = live.sequence.extend(random_tokens(3, 2));
    REQUIRE_FALSE(extended.has_value());
    CHECK(extended.error().code == ErrorCode::cancelled);
    CHECK(std::ranges::equal(live.cache->cells().tokens(), before));
    CHECK(live.logits() == logits);
    live.engine->set_cancel_flag(nullptr);
}

TEST_CASE("a token encoded ahead goes on from, or is forgotten, as if it had not been") {
    const auto model = testing::load_tiny_model(small);
    for (const size_t n_deleted : {0U, 3U}) { // without and with cells before it that come free
        CAPTURE(n_deleted);
        for (const size_t n_batch : {512U, 4U}) {
            CAPTURE(n_batch);
            std::vector<TokenId> tokens = random_tokens(60, 5);
            Live live(*model, static_cast<int32_t>(n_batch));
            live.update(std::span(tokens).first(50), {});
            tokens.erase(tokens.begin() + 20, tokens.begin() + 20 + static_cast<std::ptrdiff_t>(n_deleted));
            const std::vector<TokenId> wanted(tokens.begin(), tokens.begin() + 48);
            const TokenId ahead(11);
            REQUIRE(live.sequence.update(wanted, seam_to_the_end, {}, ahead).has_value());
            live.cache->cells().check_invariant();
            CHECK(std::ranges::equal(live.sequence.tokens(), wanted));
            CHECK(relative_error(live.logits(), recompute(*model, wanted)) < 2e-3);

            for (const TokenId next : {ahead, TokenId(12)}) {
                CAPTURE(next.value);
                REQUIRE(live.sequence.update(wanted, seam_to_the_end, {}, ahead).has_value());
                std::vector<TokenId> longer = wanted;
                for (const TokenId token : {next, TokenId(13)}) {
                    longer.push_back(token);
                    REQUIRE(live.sequence.extend(std::span(&token, 1)).has_value());
                    CHECK(relative_error(live.logits(), recompute(*model, longer)) < 2e-3);
                }
                live.cache->cells().check_invariant();
                CHECK(std::ranges::equal(live.sequence.tokens(), longer));
                live.sequence.rewind(static_cast<int32_t>(wanted.size()), {});
            }
        }
    }
}

TEST_CASE("to go on by the token that was encoded ahead computes nothing, and changes end that") {
    const auto model = testing::load_tiny_model(small);
    const std::vector<TokenId> wanted = random_tokens(30, 6);
    const std::array ahead = {TokenId(11)};
    std::atomic<bool> cancel = true; // whatever computes fails
    Live live(*model);
    const auto goes_on = [&] {
        live.engine->set_cancel_flag(&cancel);
        const bool done = live.sequence.extend(ahead).has_value();
        live.engine->set_cancel_flag(nullptr);
        return done;
    };
    const auto report = live.sequence.update(wanted, {}, {}, ahead.front());
    REQUIRE(report.has_value());
    CHECK(report->tokens_ahead == 1);
    CHECK(goes_on());
    live.sequence.rewind(30, {});
    CHECK(!goes_on());
    REQUIRE(live.sequence.update(wanted, {}, {}, ahead.front()).has_value());
    const std::array other = {TokenId(12)};
    REQUIRE(live.sequence.extend(other).has_value());
    CHECK(!goes_on());
}

TEST_CASE("healed to the end, the logits are those of a full recompute") {
    const auto model = testing::load_tiny_model(small);
    Errors healed;
    for (uint32_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        std::vector<TokenId> wanted = uniform_tokens(random, 100, testing::tiny_vocabulary_size);
        Live live(*model);
        for (int update = 0; update < 8; ++update) {
            CAPTURE(update);
            live.update(wanted, pie_alone);
            const KvCells& cells = live.cache->cells();
            int32_t n_held = cells.n_exact() + cells.n_identical();
            while (true) {
                const auto n = live.sequence.heal(1 + static_cast<int32_t>(random() % 40));
                REQUIRE(n.has_value());
                CHECK(std::ranges::equal(live.cache->cells().tokens(), wanted));
                if (*n == 0) {
                    break;
                }
                CHECK(cells.n_exact() + cells.n_identical() >= n_held + *n);
                n_held = cells.n_exact() + cells.n_identical();
            }
            CHECK(live.sequence.n_exact() == std::ssize(wanted));
            CHECK(live.sequence.is_healed());
            const std::vector<float> expected = recompute(*model, wanted);
            healed.sum += relative_error(live.logits(), expected);
            healed.noise_sum += relative_error(recompute(*model, wanted, KernelPath::graph), expected);
            edit(random, wanted);
        }
    }
    CHECK(healed.sum < 1.5 * healed.noise_sum);
}

TEST_CASE("a cancelled healing changes nothing") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    std::vector<TokenId> wanted = random_tokens(120, 1);
    live.update(wanted, {});
    wanted.insert(wanted.begin() + 30, TokenId(3));
    live.update(wanted, {});
    const std::vector<float> logits = live.logits();
    const int32_t n_exact = live.sequence.n_exact();
    CHECK(n_exact == 39); // up to the end of the seam
    std::atomic<bool> cancel = true;
    live.engine->set_cancel_flag(&cancel);
    const auto healed = live.sequence.heal(50);
    REQUIRE_FALSE(healed.has_value());
    CHECK(healed.error().code == ErrorCode::cancelled);
    live.engine->set_cancel_flag(nullptr);
    live.cache->cells().check_invariant();
    CHECK(live.sequence.n_exact() == n_exact);
    CHECK(live.logits() == logits);
    CHECK(std::ranges::equal(live.cache->cells().tokens(), wanted));
}

TEST_CASE("without a spare cell nothing is healed, rather than risked") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model, 64, 256);
    std::vector<TokenId> wanted = random_tokens(255, 1);
    live.update(wanted, {});
    wanted.insert(wanted.begin() + 30, TokenId(3));
    live.update(wanted, {});
    CHECK(live.cache->cells().n_free() == 0);
    CHECK(live.sequence.heal(50).value() == 0);
}

TEST_CASE("an edit and its undoing leave everything exact") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    const std::vector<TokenId> before = random_tokens(100, 1);
    std::vector<TokenId> edited = before;
    edited.insert(edited.begin() + 20, TokenId(3));
    live.update(before, {});
    live.update(edited, {});
    CHECK(live.sequence.n_exact() == 29);
    live.update(before, {});
    CHECK(live.sequence.n_exact() == 100);
    CHECK(relative_error(live.logits(), recompute(*model, before)) < 2e-3);
    int32_t n_turned = 0; // there and back, which rounds; what was encoded again for the edit comes as it was
    for (int32_t i = 28; i < 100; ++i) {
        n_turned += live.cache->cells().is_identical(Position(i)) ? 0 : 1;
    }
    CHECK(n_turned > 40);
    CHECK(live.sequence.heal(256).value() == n_turned);
    CHECK(live.sequence.is_healed());
}

TEST_CASE(
    "what is undone or done again after healing encodes the last token alone, and is a full recompute's") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    const std::vector<TokenId> before = random_tokens(100, 1);
    std::vector<TokenId> edited = before;
    edited.insert(edited.begin() + 20, 5, TokenId(3));
    for (const auto& wanted : {before, edited}) {
        live.update(wanted, {});
        live.heal_all();
    }
    for (const auto& wanted : {before, edited, before}) {
        CHECK(live.update(wanted, {}).tokens_encoded == 1);
        CHECK(live.sequence.n_exact() == std::ssize(wanted));
        CHECK(relative_error(live.logits(), recompute(*model, wanted)) < 1e-4);
        live.heal_all();
        CHECK(testing::bit_difference(live.logits(), recompute(*model, wanted)) == "");
    }
    live.update(edited, pie_alone); // the paper's method knows of nothing dropped
    CHECK(live.sequence.n_exact() < std::ssize(edited));
    live.sequence.clear();
    CHECK(live.update(before, {}).tokens_encoded == 100);
}

TEST_CASE("what there was no room for is healed, and what was recalled behind it is not") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model, 512, 256);
    const std::vector<TokenId> before = random_tokens(150, 1);
    std::vector<TokenId> edited = before;
    edited[5] = TokenId(3); // no key is turned
    for (const auto& wanted : {before, edited}) {
        live.update(wanted, {});
        live.heal_all();
    }
    const int32_t n_encoded = live.update(before, {}).tokens_encoded;
    CHECK(live.sequence.n_exact() < 100);
    const int32_t n_healed = live.heal_all();
    CHECK(n_healed > 0);
    CHECK(n_encoded + n_healed < 100);
    CHECK(testing::bit_difference(live.logits(), recompute(*model, before)) == "");
}

TEST_CASE("what a completion wrote is there when somebody types it, unless it was written beside others") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    std::vector<TokenId> wanted = random_tokens(60, 1);
    const std::vector<TokenId> written = random_tokens(6, 2);
    live.update(wanted, {});
    const std::vector<float> logits = live.logits();
    const std::array<BranchToken, 2> beside = {{{0, written[0]}, {1, written[1]}}};
    REQUIRE(live.sequence.extend_branches(beside));
    live.sequence.rewind(60, logits);
    wanted.insert(wanted.end(), written.begin(), written.end());
    CHECK(live.update(wanted, {}).tokens_encoded == 6);
    CHECK(live.sequence.n_exact() == 66);

    const std::vector<TokenId> more = random_tokens(6, 3);
    const std::vector<float> last = live.logits();
    REQUIRE(live.sequence.extend(more));
    live.sequence.rewind(66, last);
    wanted.insert(wanted.end(), more.begin(), more.end());
    CHECK(live.update(wanted, {}).tokens_encoded == 1);
    CHECK(live.sequence.n_exact() == 72);
    CHECK(relative_error(live.logits(), recompute(*model, wanted)) < 1e-4);
}

TEST_CASE("what is stale is healed first, with the few rounded tokens before it, and nothing twice then") {
    const auto model = testing::load_tiny_model(small);
    const std::vector<TokenId> before = random_tokens(100, 1);
    std::vector<TokenId> edited = before;
    edited.insert(edited.begin() + 20, TokenId(3));
    std::vector<TokenId> wanted = before;
    wanted[60] = TokenId(4);
    for (const int32_t n_chunk : {128, 64}) { // room for 41 rounded tokens in half of it, and not
        CAPTURE(n_chunk);
        Live live(*model);
        for (const std::vector<TokenId>& tokens : {before, edited, before, wanted}) {
            live.update(tokens, pie_alone); // keys from 20 on are turned and turned back
        }
        CHECK(live.sequence.n_exact() == 61); // up to the changed token
        const int32_t first = live.sequence.heal(n_chunk).value();
        CHECK(live.sequence.n_exact() == 100);
        int32_t rest = 0;
        for (int32_t n = -1; n != 0; rest += n) {
            n = live.sequence.heal(n_chunk).value();
        }
        CHECK(live.sequence.is_healed());
        CHECK(first == (n_chunk == 128 ? 80 : 39));
        CHECK(rest == (n_chunk == 128 ? 0 : 80)); // the stale ones stood behind rounded ones
    }
}

TEST_CASE("repair encodes again what was looked at most") {
    const auto model = testing::load_tiny_model(small);
    Live live(*model);
    std::vector<TokenId> wanted = random_tokens(100, 1);
    live.update(wanted, {});
    live.sequence.observe_layers({.bits = 2});
    REQUIRE(live.sequence.extend(random_tokens(1, 2), Observe::yes).has_value());
    live.sequence.rewind(100, live.logits());
    const std::span<const float> attention = live.cache->cells().attention();
    const std::vector<float> looked(attention.begin(), attention.end());
    CHECK(std::accumulate(looked.begin(), looked.end(), 0.0) > 0.5);

    wanted.insert(wanted.begin() + 20, TokenId(3));
    const UpdateReport plain = live.update(wanted, {.repair = 0});
    CHECK(std::ranges::equal(live.cache->cells().attention().subspan(21), std::span(looked).subspan(20)));
    // One token is new, and eight behind it are exact again; what else was encoded has been repaired so.
    const int32_t n_outdated = 101 - 29 - (plain.tokens_encoded - 9);
    const std::vector<Position> chosen = live.sequence.worth_repairing(10);
    CHECK(live.sequence.repair(chosen).value() == 10);
    CHECK(live.sequence.repair(chosen).value() == 0);
    const std::vector<Position> others = live.sequence.worth_repairing(1000);
    CHECK(std::ssize(others) == n_outdated - 10);
    const auto looked_at = [&](Position position) { return looked[static_cast<size_t>(position.value) - 1]; };
    CHECK(looked_at(std::ranges::min(chosen, {}, looked_at)) >
          looked_at(std::ranges::max(others, {}, looked_at)));

    live.sequence.clear();
    live.update(random_tokens(100, 1), {});
    std::ranges::copy(looked, live.cache->cells().attention().begin());
    const UpdateReport repaired = live.update(wanted, {.repair = 16});
    CHECK(repaired.tokens_encoded == plain.tokens_encoded + 16);
    wanted.emplace_back(5);
    CHECK(live.update(wanted, {.repair = 16}).tokens_encoded == 1); // stale, but only appended to
}

TEST_CASE("repaired in slices from its beginning on, a choice is what it is in one batch") {
    const auto model = testing::load_tiny_model(small);
    std::vector<TokenId> wanted = random_tokens(100, 1);
    std::vector<std::vector<float>> logits;
    for (const size_t n_slice : {32, 16}) {
        Live live(*model);
        live.update(wanted, {});
        std::ranges::fill(live.cache->cells().attention(), 1.0F);
        std::vector<TokenId> edited = wanted;
        edited.insert(edited.begin() + 20, TokenId(3));
        live.update(edited, {.repair = 0});
        const std::vector<Position> chosen = live.sequence.worth_repairing(32);
        REQUIRE(chosen.size() == 32);
        for (size_t i = 0; i < chosen.size(); i += n_slice) {
            CHECK(live.sequence.repair(std::span(chosen).subspan(i, n_slice)).value() ==
                  static_cast<int32_t>(n_slice));
        }
        REQUIRE(live.sequence.extend(random_tokens(1, 2)).has_value());
        logits.push_back(live.logits());
    }
    CHECK(logits[0] == logits[1]);
}

TEST_CASE("quantised keys that move back and forth stay close to fresh ones") {
    TinyModel description = small;
    description.n_layer = 1; // whose keys do not depend on what stands before them
    const auto model = testing::load_tiny_model(description);
    const auto cache_of = [&] {
        return *KvCache::create(*model, {.n_cells = 512, .type_k = GGML_TYPE_Q8_0});
    };
    const auto engine = *Engine::create(*model, {.n_threads = 1});
    const auto cache = cache_of();
    LiveSequence sequence(*engine, *cache);
    std::vector<TokenId> wanted = random_tokens(200, 1);
    REQUIRE(sequence.update(wanted, pie_alone).has_value());
    for (int i = 0; i < 600; ++i) {
        if (i % 2 == 0) {
            wanted.insert(wanted.begin(), TokenId(i % 7 + 1));
        } else {
            wanted.erase(wanted.begin());
        }
        REQUIRE(sequence.update(wanted, pie_alone).has_value());
    }
    const auto fresh_cache = cache_of();
    LiveSequence fresh(*engine, *fresh_cache);
    REQUIRE(fresh.update(wanted, full).has_value());
    const auto keys_of = [](const KvCache& of) {
        const ggml_tensor* tensor = of.keys(0);
        std::vector<std::byte> row(tensor->nb[1]);
        std::vector<float> keys;
        for (int32_t i = 0; i < of.cells().n_tokens(); ++i) {
            const auto cell = static_cast<size_t>(of.cells().cell_at(Position(i)).value);
            ggml_backend_tensor_get(tensor, row.data(), cell * row.size(), row.size());
            keys.resize(keys.size() + static_cast<size_t>(tensor->ne[0]));
            ggml_get_type_traits(tensor->type)
                ->to_float(row.data(), keys.data() + keys.size() - tensor->ne[0], tensor->ne[0]);
        }
        return keys;
    };
    // Six hundred turns of a key would make an error of a quarter; the bound leaves a hundredth.
    CHECK(relative_error(keys_of(*cache), keys_of(*fresh_cache)) < 0.05);
}

} // namespace pie
