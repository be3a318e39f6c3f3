// What is said of how exactly a cache is held, and what becomes of it: for every type of weights and of
// caches where bits are promised, they are those of a session that holds nothing, in a model of its own.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>
#include <ggml.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

std::string lines(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
        text += "total += item" + std::to_string(i * i) + "\n";
    }
    return text;
}

bool is_bit_exact(const Completion& completion) {
    return completion.update.tokens_bit_exact >= completion.update.tokens_context;
}

struct Counts {
    int n_bit_exact = 0;
    int n_exact = 0;
};

// Types, a text that is edited, and how often bits were promised while it was.
class Typing {
  public:
    Typing(const testing::TinyModel& description, CacheType keys, CacheType values) {
        const auto file = scratch_.path / "tiny.gguf";
        testing::write_tiny_model(description, file);
        const ModelOptions options{
            .n_threads = 2, .n_ctx = 1024, .n_predict_max = 64, .keys = keys, .values = values};
        model_.push_back(Model::load(file, options).value());
        model_.push_back(Model::load(file, options).value()); // for the truth
    }

    Counts type(uint32_t seed) {
        std::mt19937 random(seed);
        Session session = model_[0].open();
        std::string text = lines(12);
        Counts counts;
        for (int step = 0; step < 8; ++step) {
            const size_t cursor = random() % text.size();
            REQUIRE(session.set_text(text, ByteOffset(cursor)));
            if (step % 3 == 2) {
                REQUIRE(session.heal());
            }
            const Completion answer = session.complete(asked_).value();
            counts.n_exact += answer.update.tokens_exact >= answer.update.tokens_context ? 1 : 0;
            if (is_bit_exact(answer)) {
                ++counts.n_bit_exact;
                check_first_token(answer, text, cursor);
            }
            change(random, text);
        }
        return counts;
    }

  private:
    void change(std::mt19937& random, std::string& text) {
        const std::string before = std::exchange(before_, text);
        switch (random() % 4) {
        case 0:
            text += "#";
            break;
        case 1:
            text.insert(random() % text.size(), "y = " + std::to_string(random() % 1000) + "\n");
            break;
        case 2:
            text.erase(random() % (text.size() / 2), 30);
            break;
        default:
            if (!before.empty()) {
                text = before; // undone
            }
        }
    }

    void check_first_token(const Completion& answer, const std::string& text, size_t cursor) const {
        Session fresh = model_[1].open_fresh();
        REQUIRE(fresh.set_text(text, ByteOffset(cursor)));
        const Completion truth = fresh.complete(asked_).value();
        const auto& found = answer.probabilities.front().likeliest;
        const auto& expected = truth.probabilities.front().likeliest;
        REQUIRE(found.size() == expected.size());
        for (size_t i = 0; i < expected.size(); ++i) {
            CHECK(found[i].token == expected[i].token);
            CHECK(found[i].log_probability == expected[i].log_probability);
        }
    }

    ScratchFolder scratch_;
    std::vector<Model> model_;
    std::string before_;
    const CompletionOptions asked_{.n_predict = 2, .n_probs = 16};
};

testing::TinyModel with_weights(ggml_type type) {
    return {.architecture = "qwen2", .weight_type = type, .n_embd = 256, .head_dim = 64};
}

} // namespace

TEST_CASE("where bits are promised they are a full recompute's, for every type of weights") {
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q5_0,
                                 GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
        CAPTURE(std::string(ggml_type_name(type)));
        const Counts counts = Typing(with_weights(type), CacheType::f16, CacheType::f16).type(1);
        CHECK(counts.n_exact > 0);
        if (ggml_is_quantized(type)) {
            CHECK(counts.n_bit_exact > 0);
        }
    }
}

TEST_CASE("where bits are promised they are a full recompute's, for every type of caches") {
    constexpr std::array types = {CacheType::f32, CacheType::f16, CacheType::bf16, CacheType::q8_0,
                                  CacheType::q4_0};
    for (const CacheType keys : types) {
        for (const CacheType values : {CacheType::f16, keys}) {
            CAPTURE(static_cast<int>(keys));
            CAPTURE(static_cast<int>(values));
            for (const uint32_t seed : {1U, 2U}) {
                const Counts counts = Typing(with_weights(GGML_TYPE_Q8_0), keys, values).type(seed);
                CHECK(counts.n_exact > 0);
                CHECK(counts.n_bit_exact > 0);
            }
        }
    }
}

TEST_CASE("with experts no bits are promised") {
    testing::TinyModel description = with_weights(GGML_TYPE_Q8_0);
    description.architecture = "qwen3moe";
    description.n_expert = 4;
    const Counts counts = Typing(description, CacheType::f16, CacheType::f16).type(1);
    CHECK(counts.n_exact > 0);
    CHECK(counts.n_bit_exact == 0);
}

TEST_CASE("a session tells what becomes of its cache") {
    const ScratchFolder scratch;
    const auto file = scratch.path / "tiny.gguf";
    testing::write_tiny_model({.architecture = "qwen2"}, file);
    for (const bool has_folder : {false, true}) {
        CAPTURE(has_folder);
        ModelOptions options{.n_threads = 1, .n_ctx = 512, .n_predict_max = 64, .heal_when_idle = false};
        options.ram_bytes_max = 1; // for the session in use alone
        options.snapshot_folder = has_folder ? scratch.path / "snapshots" : std::filesystem::path();
        const Model model = Model::load(file, options).value();
        Session session = model.open("a");
        CHECK(session.stats().cache_state == CacheState::empty);
        std::string text = lines(8);
        REQUIRE(session.set_text(text, ByteOffset(text.size())));
        REQUIRE(session.encode());
        text.insert(0, "x = 1\n");
        REQUIRE(session.set_text(text, ByteOffset(text.size())));
        REQUIRE(session.encode());
        CHECK(session.stats().cache_state == CacheState::stale);
        REQUIRE(session.heal());
        CHECK(session.stats().cache_state == CacheState::healed);
        Session other = model.open("b");
        REQUIRE(other.set_text(lines(3), ByteOffset(0)));
        REQUIRE(other.encode());
        const SessionStats stats = session.stats();
        CHECK(stats.cache_state == (has_folder ? CacheState::put_away : CacheState::empty));
        CHECK((stats.tokens > 0) == has_folder);
        CHECK((stats.version_encoded == stats.version) == has_folder);
        REQUIRE(session.encode());
        CHECK(session.stats().cache_state != CacheState::put_away);
        CHECK(session.stats().tokens > 0);
    }
}

} // namespace pie
