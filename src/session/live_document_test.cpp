// A live document on a tiny model: what idle time makes of it, and what a change of its context costs.

#include "prompt/test_repository_model.h"
#include "session/live_document.h"
#include "support/reference.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

struct Editor {
    std::unique_ptr<LoadedModel> model = testing::load_tiny_model({.architecture = "qwen2"});
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    std::unique_ptr<LiveDocument> live = *LiveDocument::create(*engine, {.n_ctx = 1024});
    std::string text;

    Editor() {
        for (int i = 0; i < 30; ++i) {
            text += "    total += item" + std::to_string(i) + "\n";
        }
        update();
    }
    UpdateReport update() { return live->update(text, ByteOffset(text.size() / 2)).value(); }
    std::vector<float> logits() const {
        return {live->sequence().logits().begin(), live->sequence().logits().end()};
    }
};

std::vector<float> recompute(const Editor& editor) {
    const auto fresh = *LiveDocument::create(*editor.engine, {.n_ctx = 1024});
    REQUIRE(fresh->update(editor.text, ByteOffset(editor.text.size() / 2)).has_value());
    return {fresh->sequence().logits().begin(), fresh->sequence().logits().end()};
}

constexpr int32_t n_predict_max = 256;
const ReuseOptions full{.method = ReuseMethod::full};
const ReuseOptions seam_to_the_end{.seam = 1'000'000};

// A document among chunks of other files.
struct Repository {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    std::unique_ptr<LiveDocument> live = create();
    std::vector<ContextChunk> chunks;
    std::string text;

    Repository(const testing::TinyModel& description, int lines)
        : model(testing::load_tiny_model(description)) {
        for (int i = 0; i < lines; ++i) {
            text += "    total += item" + std::to_string(i) + "\n";
        }
    }
    std::unique_ptr<LiveDocument> create() const {
        return *LiveDocument::create(*engine, {.n_ctx = 1024, .n_predict_max = n_predict_max});
    }
    DocumentContext context() const { return {.chunks = chunks, .file_name = "main.py"}; }
    UpdateReport update(const ReuseOptions& reuse = {}) const {
        live->set_context(context());
        return live->update(text, ByteOffset(text.size() / 2), reuse).value();
    }
    // Without the context.
    std::vector<TokenId> document_tokens() const {
        const auto tokens = live->sequence().tokens();
        const auto begin = std::ranges::find(tokens, model->vocabulary().fim()->prefix);
        return {begin, tokens.end()};
    }
    double error_of_logits() const {
        const auto fresh = create();
        fresh->set_context(context());
        REQUIRE(fresh->update(text, ByteOffset(text.size() / 2), full).has_value());
        CHECK(std::ranges::equal(fresh->sequence().tokens(), live->sequence().tokens()));
        return testing::relative_error(live->sequence().logits(), fresh->sequence().logits());
    }
};

// Letters at random, so that no part of it is found elsewhere; a letter is about a token.
ContextChunk chunk_of(uint32_t seed, size_t bytes) {
    std::mt19937 random(seed);
    ContextChunk chunk{.file_name = "f" + std::to_string(seed), .text = ""};
    while (chunk.text.size() < bytes) {
        chunk.text += static_cast<char>('a' + random() % 26);
    }
    return chunk;
}

} // namespace

TEST_CASE("healed in idle time, a document is what a full recompute holds") {
    Editor editor;
    editor.text.insert(10, "x = 1\n");
    editor.update();
    CHECK(editor.live->sequence().n_exact() < editor.live->sequence().n_tokens());
    const double stale_error = testing::relative_error(editor.logits(), recompute(editor));
    int slices = 0;
    while (editor.live->heal().value() > 0) {
        ++slices;
    }
    CHECK(slices > 0);
    CHECK(editor.live->sequence().n_exact() == editor.live->sequence().n_tokens());
    const double healed_error = testing::relative_error(editor.logits(), recompute(editor));
    CHECK(healed_error < 2e-3);
    CHECK(healed_error < stale_error);
}

TEST_CASE("healing that an edit stops leaves the document as it was, and goes on later") {
    Editor editor;
    editor.text.insert(10, "x = 1\n");
    editor.update();
    const std::vector<float> logits = editor.logits();
    const int32_t n_exact = editor.live->sequence().n_exact();
    std::atomic<bool> cancel = true;
    editor.engine->set_cancel_flag(&cancel);
    const auto stopped = editor.live->heal();
    REQUIRE_FALSE(stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::cancelled);
    CHECK(editor.logits() == logits);
    CHECK(editor.live->sequence().n_exact() == n_exact);
    cancel = false;
    while (editor.live->heal().value() > 0) {
    }
    CHECK(testing::relative_error(editor.logits(), recompute(editor)) < 2e-3);
    editor.engine->set_cancel_flag(nullptr);
}

TEST_CASE("where idle time is short, slices are, and typing does not start repairs anew") {
    Editor editor;
    editor.live->sequence().observe_layers({.bits = 2});
    REQUIRE(editor.live->complete({.n_predict = 4}).has_value()); // which looks at what is to be repaired
    editor.text.insert(10, "x = 1\n");
    editor.update();
    const int32_t n_exact = editor.live->sequence().n_exact();
    std::atomic<bool> cancel = true;
    editor.engine->set_cancel_flag(&cancel);
    for (int i = 0; i < 8; ++i) {
        REQUIRE_FALSE(editor.live->heal().has_value());
    }
    cancel = false;
    CHECK(editor.live->heal().value() == 8);
    CHECK(editor.live->sequence().n_exact() == n_exact); // repaired
    const auto cached = editor.live->sequence().tokens();
    std::vector<TokenId> more(cached.begin(), cached.end());
    more.emplace_back(3);
    REQUIRE(editor.live->update(more).has_value());
    const auto repair_all = [&] {
        const int32_t n_before = editor.live->sequence().n_exact();
        int32_t n_repaired = 0;
        while (editor.live->sequence().n_exact() == n_before) {
            n_repaired += editor.live->heal().value();
        }
        return n_repaired;
    };
    const int32_t n_rest = repair_all();
    CHECK(n_rest > 16);
    while (editor.live->heal().value() > 0) {
    }
    editor.text.insert(10, "y = 2\n");
    editor.update();
    CHECK(repair_all() > n_rest); // those of the first slice as well
    editor.engine->set_cancel_flag(nullptr);
}

TEST_CASE("a change of the context costs what is new in it, and seams") {
    for (const testing::TinyModel& description :
         {test::repository_model(), testing::TinyModel{.architecture = "llama"}}) {
        CAPTURE(description.architecture);
        Repository repository(description, 10);
        repository.chunks = {chunk_of(1, 70), chunk_of(2, 70), chunk_of(3, 70)};
        repository.update();
        const int32_t n_before = repository.live->sequence().n_tokens();
        constexpr int32_t seam = 8; // of each edit place
        // Markers, and the cursor's line behind the last one.
        constexpr int32_t anyway = 8 + 20;

        repository.chunks.push_back(chunk_of(4, 70));
        UpdateReport report = repository.update();
        const int32_t n_new = report.tokens_context - n_before;
        CHECK(n_new > 50);
        CHECK(report.tokens_encoded >= n_new);
        CHECK(report.tokens_encoded <= n_new + seam + anyway);

        std::swap(repository.chunks[1], repository.chunks[2]);
        report = repository.update();
        CHECK(report.tokens_context == n_before + n_new);
        CHECK(report.tokens_encoded <= 3 * seam + anyway);
        CHECK(report.tokens_moved >= 100); // of both, but for their seams

        repository.chunks.erase(repository.chunks.begin());
        report = repository.update();
        CHECK(report.tokens_encoded <= seam + anyway);
        CHECK(report.tokens_moved >= report.tokens_context / 2);
    }
}

TEST_CASE("with everything behind a changed chunk encoded again, logits are those of a full recompute") {
    Repository repository(test::repository_model(), 10);
    repository.update();
    const std::vector<float> alone(repository.live->sequence().logits().begin(),
                                   repository.live->sequence().logits().end());
    const auto check = [&] {
        repository.update(seam_to_the_end);
        CHECK(repository.error_of_logits() < 2e-3);
    };
    repository.chunks = {chunk_of(1, 70), chunk_of(2, 70)};
    check();
    CHECK(testing::relative_error(repository.live->sequence().logits(), alone) > 0.02);
    repository.chunks.insert(repository.chunks.begin() + 1, chunk_of(3, 70));
    check();
    std::swap(repository.chunks[0], repository.chunks[1]);
    check();
    repository.chunks.erase(repository.chunks.begin());
    check();
    repository.chunks.clear();
    check();
}

TEST_CASE("healed, a document among changing chunks is what a full recompute holds") {
    Repository repository(test::repository_model(), 10);
    repository.chunks = {chunk_of(1, 70), chunk_of(2, 70)};
    repository.update();
    std::swap(repository.chunks[0], repository.chunks[1]);
    repository.update();
    while (repository.live->heal().value() > 0) {
    }
    CHECK(repository.error_of_logits() < 2e-3);
}

TEST_CASE("chunks that come and go leave the window of a long text where it is") {
    Repository repository(test::repository_model(), 200);
    repository.update();
    CHECK(repository.live->lines_cut().at_start > 0);
    const size_t n_alone = repository.document_tokens().size();
    repository.chunks = {chunk_of(1, 200)};
    repository.update();
    const std::vector<TokenId> document = repository.document_tokens();
    CHECK(document.size() < n_alone);
    CHECK(document.size() > n_alone / 3);
    const uint32_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    size_t left_out_max = 0;
    for (uint32_t round = 2; round < 40; ++round) {
        const auto at =
            repository.chunks.begin() + static_cast<ptrdiff_t>(random() % (repository.chunks.size() + 1));
        if (random() % 3 > 0 || at == repository.chunks.end()) {
            repository.chunks.insert(at, chunk_of(round, 20 + random() % 200));
        } else {
            repository.chunks.erase(at);
        }
        repository.update();
        CHECK(repository.document_tokens() == document);
        CHECK(repository.live->sequence().n_tokens() <= 1024 - n_predict_max);
        left_out_max = std::max(left_out_max, repository.live->chunks_left_out());
    }
    CHECK(left_out_max > 0);
    repository.chunks.clear();
    repository.update();
    CHECK(repository.document_tokens() == document);
    CHECK(repository.live->chunks_left_out() == 0);
}

TEST_CASE("a context takes at most half of the prompt, and a text that fits beside it is whole") {
    Repository repository(test::repository_model(), 25);
    const size_t half = (1024 - n_predict_max) / 2;
    for (uint32_t i = 0; i < 10; ++i) {
        repository.chunks.push_back(chunk_of(i, 70));
    }
    repository.update();
    const size_t n_document = repository.document_tokens().size();
    const size_t n_context = repository.live->sequence().tokens().size() - n_document;
    CHECK(n_document > half - half / 4);
    CHECK(n_context <= half);
    CHECK(n_context > half - 80);
    CHECK(repository.live->chunks_left_out() > 0);
    repository.chunks.resize(1);
    const auto beside_one = repository.create();
    beside_one->set_context(repository.context());
    REQUIRE(beside_one->update(repository.text, ByteOffset(repository.text.size() / 2)).has_value());
    CHECK(beside_one->lines_cut().at_start == 0);
    CHECK(beside_one->lines_cut().at_end == 0);
    CHECK(beside_one->chunks_left_out() == 0);
}

} // namespace pie
