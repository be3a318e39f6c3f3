// Sequences that take over what others hold of the same chunks: what they hold then, how exactly they say
// they hold it, and what they answer, against full recomputes.

#include "cache/random_edits.h"
#include "session/live_sequence.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>

namespace pie {
namespace {

using testing::last_values;
using testing::relative_error;
using testing::TinyModel;

const TinyModel small{.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64};

// What two ways of computing the same differ by on these models.
constexpr double rounding = 4e-3;

// Without control tokens, which are encoded again wherever they come to stand.
Tokens words(size_t n, uint32_t seed) {
    std::mt19937 random(seed);
    return uniform_tokens(random, n, testing::tiny_vocabulary_size - 4);
}

// Several sequences, each of which may lend to the others.
struct Neighbours {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine;
    std::vector<std::unique_ptr<KvCache>> caches;
    std::vector<std::unique_ptr<LiveSequence>> sequences;

    explicit Neighbours(const TinyModel& description, int32_t n_batch = 512)
        : model(testing::load_tiny_model(description)),
          engine(*Engine::create(*model, {.n_threads = 1, .n_batch = n_batch})) {}

    LiveSequence& add(int32_t n_cells = 2048) {
        caches.push_back(*KvCache::create(*model, {.n_cells = n_cells}));
        sequences.push_back(std::make_unique<LiveSequence>(*engine, *caches.back()));
        sequences.back()->set_donors([this] {
            std::vector<LiveSequence*> all;
            for (const auto& sequence : sequences) {
                all.push_back(sequence.get());
            }
            return all;
        });
        return *sequences.back();
    }
    KvCache& cache_of(const LiveSequence& sequence) {
        const auto found =
            std::ranges::find(sequences, &sequence, [](const auto& each) { return each.get(); });
        return *caches[static_cast<size_t>(found - sequences.begin())];
    }

    UpdateReport update(LiveSequence& sequence, const Tokens& wanted, const ReuseOptions& options = {}) {
        const auto report = sequence.update(wanted, options);
        REQUIRE_MESSAGE(report.has_value(), report.error().message);
        cache_of(sequence).cells().check_invariant();
        CHECK(std::ranges::equal(sequence.tokens(), wanted));
        CHECK(report->tokens_kept + report->tokens_encoded == std::ssize(wanted));
        return *report;
    }
};

std::vector<float> copy_of(std::span<const float> values) {
    return {values.begin(), values.end()};
}

Tokens joined(std::initializer_list<Tokens> parts) {
    Tokens all;
    for (const Tokens& part : parts) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

struct Recomputed {
    std::vector<float> logits;
    std::vector<std::vector<float>> values;
};

Recomputed recompute(const LoadedModel& model, const Tokens& wanted) {
    const auto cache = *KvCache::create(model, {.n_cells = 2048});
    const auto engine = *Engine::create(model, {.n_threads = 1});
    LiveSequence sequence(*engine, *cache);
    REQUIRE(sequence.update(wanted, {.method = ReuseMethod::full}));
    return {copy_of(sequence.logits()), last_values(*cache)};
}

} // namespace

TEST_CASE("a chunk that another sequence holds in another place is not encoded again") {
    Neighbours neighbours(small);
    const Tokens chunk = words(200, 1);
    LiveSequence& first = neighbours.add();
    neighbours.update(first, joined({words(70, 2), chunk, words(50, 3)}));

    LiveSequence& second = neighbours.add();
    const Tokens wanted = joined({words(30, 4), chunk, words(60, 5)});
    const UpdateReport report = neighbours.update(second, wanted);
    CHECK(report.tokens_encoded == 30 + 8 + 1 + 60); // the chunk's seam, and the token that ends it
    CHECK(second.n_exact() == 30 + 8);               // up to the end of the seam

    const Recomputed expected = recompute(*neighbours.model, wanted);
    const auto values = last_values(neighbours.cache_of(second));
    double largest_error_stale = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
        CAPTURE(i);
        const double error = relative_error(values[i], expected.values[i]);
        if (i < static_cast<size_t>(second.n_exact())) {
            CHECK(error < rounding);
        } else {
            largest_error_stale = std::max(largest_error_stale, error);
        }
    }
    CHECK(largest_error_stale > 10 * rounding);
    for (int32_t n = 1; n > 0; n = second.heal(64).value()) {
    }
    CHECK(second.n_exact() == second.n_tokens());
    CHECK(relative_error(second.logits(), expected.logits) < rounding);
}

TEST_CASE("a chunk that joins the end of what is cached has a seam") {
    Neighbours neighbours(small);
    const Tokens chunk = words(200, 1);
    neighbours.update(neighbours.add(), joined({words(70, 2), chunk}));
    LiveSequence& second = neighbours.add();
    const Tokens before = words(40, 3);
    neighbours.update(second, before);
    CHECK(neighbours.update(second, joined({before, chunk})).tokens_encoded == 8 + 2);
    CHECK(second.n_exact() == 40 + 8);

    LiveSequence& third = neighbours.add();
    CHECK(neighbours.update(third, chunk).tokens_encoded == 8 + 2);
    CHECK(third.n_exact() == 8);
}

TEST_CASE("in a model of one layer a borrowed chunk is as good as a new one") {
    for (const char* architecture : {"llama", "qwen2"}) {
        CAPTURE(std::string(architecture));
        TinyModel description = small;
        description.architecture = architecture;
        description.n_layer = 1;
        Neighbours neighbours(description);
        const std::array<Tokens, 3> chunks = {words(150, 1), words(90, 2), words(120, 3)};
        neighbours.update(neighbours.add(), joined({chunks[0], words(20, 4), chunks[1], chunks[2]}));
        const Tokens wanted =
            joined({words(33, 5), chunks[2], chunks[0], words(10, 6), chunks[1], words(25, 7)});
        LiveSequence& second = neighbours.add();
        const UpdateReport report = neighbours.update(second, wanted);
        CHECK(report.tokens_encoded == 33 + 10 + 25 + 3 * 8 + 1);
        CHECK(relative_error(second.logits(), recompute(*neighbours.model, wanted).logits) < rounding);
    }
}

TEST_CASE("a chunk that is put in front of a cached text is borrowed too") {
    Neighbours neighbours(small);
    const Tokens chunk = words(200, 1);
    neighbours.update(neighbours.add(), joined({words(70, 2), chunk}));
    LiveSequence& second = neighbours.add();
    const Tokens text = words(150, 3);
    neighbours.update(second, text);
    const Tokens wanted = joined({words(5, 4), chunk, text});
    const UpdateReport report = neighbours.update(second, wanted);
    CHECK(report.tokens_encoded == 5 + 8 + 8 + 1);
    for (int32_t n = 1; n > 0; n = second.heal(64).value()) {
    }
    CHECK(relative_error(second.logits(), recompute(*neighbours.model, wanted).logits) < rounding);
}

TEST_CASE("what is not exact where it is, is little, or has no room is not borrowed") {
    Neighbours neighbours(small);
    const Tokens chunk = words(100, 1);
    LiveSequence& first = neighbours.add();
    neighbours.update(first, chunk);
    const auto n_encoded = [&](const Tokens& wanted, int32_t n_cells = 2048) {
        LiveSequence& second = neighbours.add(n_cells);
        const int32_t n = neighbours.update(second, wanted).tokens_encoded;
        neighbours.sequences.pop_back();
        neighbours.caches.pop_back();
        return n;
    };
    const Tokens other = words(60, 2);
    CHECK(n_encoded(joined({other, chunk})) == 60 + 8 + 2);
    CHECK(n_encoded(joined({other, Tokens(chunk.begin(), chunk.begin() + 31)})) == 91);
    CHECK(n_encoded(joined({words(400, 3), chunk})) == 500);
    CHECK(n_encoded(joined({other, chunk}), 256) == 160);
    neighbours.update(first, joined({words(10, 4), chunk}));
    CHECK(n_encoded(joined({other, chunk})) == 160);
}

TEST_CASE("a cancelled update leaves nothing that was borrowed") {
    Neighbours neighbours(small, 16);
    const Tokens chunk = words(200, 1);
    neighbours.update(neighbours.add(), joined({words(70, 2), chunk}));
    const Tokens text = words(100, 3);
    for (const Tokens& before : {Tokens(), text}) {
        CAPTURE(before.size());
        LiveSequence& second = neighbours.add();
        if (!before.empty()) {
            neighbours.update(second, before);
        }
        const std::vector<float> logits = copy_of(second.logits());
        const int32_t n_exact = second.n_exact();
        std::atomic<bool> cancel = true;
        neighbours.engine->set_cancel_flag(&cancel);
        const Tokens wanted = joined({words(30, 4), chunk, text});
        const auto update = second.update(wanted, {});
        REQUIRE_FALSE(update.has_value());
        CHECK(update.error().code == ErrorCode::cancelled);
        neighbours.cache_of(second).cells().check_invariant();
        CHECK(std::ranges::equal(second.tokens(), before));
        CHECK(copy_of(second.logits()) == logits);
        CHECK(second.n_exact() == n_exact);
        neighbours.engine->set_cancel_flag(nullptr);
        neighbours.update(second, wanted);
        for (int32_t n = 1; n > 0; n = second.heal(64).value()) {
        }
        CHECK(relative_error(second.logits(), recompute(*neighbours.model, wanted).logits) < rounding);
    }
}

TEST_CASE("whatever two sequences make of the same chunks, what they call exact is") {
    for (uint32_t seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        Neighbours neighbours(small, 64);
        std::vector<Tokens> chunks;
        for (uint32_t i = 0; i < 5; ++i) {
            chunks.push_back(uniform_tokens(random, 20 + random() % 120, testing::tiny_vocabulary_size));
        }
        neighbours.add();
        neighbours.add();
        for (int step = 0; step < 8; ++step) {
            CAPTURE(step);
            LiveSequence& sequence = *neighbours.sequences[random() % 2];
            std::ranges::shuffle(chunks, random);
            Tokens wanted;
            for (size_t i = 0; i < 2 + random() % 3; ++i) {
                wanted = joined({wanted, chunks[i]});
            }
            if (random() % 3 == 0) {
                edit_at_random(random, wanted, words(10, seed), 10);
            }
            wanted.emplace_back(1);
            neighbours.update(sequence, wanted);
            if (random() % 2 == 0) {
                REQUIRE(sequence.heal(static_cast<int32_t>(random() % 100)));
            }
            const auto expected = recompute(*neighbours.model, wanted).values;
            const auto values = last_values(neighbours.cache_of(sequence));
            for (size_t i = 0; i < static_cast<size_t>(sequence.n_exact()); ++i) {
                CAPTURE(i);
                CHECK(relative_error(values[i], expected[i]) < rounding);
            }
        }
    }
}

} // namespace pie
