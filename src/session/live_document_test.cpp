// A live document on a tiny model: what idle time makes of it.

#include "session/live_document.h"
#include "support/reference.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>

namespace pie {
namespace {

struct Editor {
    std::unique_ptr<LoadedModel> model = testing::load_tiny_model({.architecture = "qwen2"});
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    std::unique_ptr<LiveDocument> session = *LiveDocument::create(*engine, {.n_ctx = 1024});
    std::string text;

    Editor() {
        for (int i = 0; i < 30; ++i) {
            text += "    total += item" + std::to_string(i) + "\n";
        }
        update();
    }
    UpdateReport update() { return session->update(text, ByteOffset(text.size() / 2)).value(); }
    std::vector<float> logits() const {
        return {session->sequence().logits().begin(), session->sequence().logits().end()};
    }
};

std::vector<float> recompute(const Editor& editor) {
    const auto fresh = *LiveDocument::create(*editor.engine, {.n_ctx = 1024});
    REQUIRE(fresh->update(editor.text, ByteOffset(editor.text.size() / 2)).has_value());
    return {fresh->sequence().logits().begin(), fresh->sequence().logits().end()};
}

} // namespace

TEST_CASE("healed in idle time, a document is what a full recompute holds") {
    Editor editor;
    editor.text.insert(10, "x = 1\n");
    editor.update();
    CHECK(editor.session->sequence().n_exact() < editor.session->sequence().n_tokens());
    const double stale_error = testing::relative_error(editor.logits(), recompute(editor));
    int slices = 0;
    while (editor.session->heal().value() > 0) {
        ++slices;
    }
    CHECK(slices > 0);
    CHECK(editor.session->sequence().n_exact() == editor.session->sequence().n_tokens());
    const double healed_error = testing::relative_error(editor.logits(), recompute(editor));
    CHECK(healed_error < 2e-3);
    CHECK(healed_error < stale_error);
}

TEST_CASE("healing that an edit stops leaves the document as it was, and goes on later") {
    Editor editor;
    editor.text.insert(10, "x = 1\n");
    editor.update();
    const std::vector<float> logits = editor.logits();
    const int32_t n_exact = editor.session->sequence().n_exact();
    std::atomic<bool> cancel = true;
    editor.engine->set_cancel_flag(&cancel);
    const auto stopped = editor.session->heal();
    REQUIRE_FALSE(stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::cancelled);
    CHECK(editor.logits() == logits);
    CHECK(editor.session->sequence().n_exact() == n_exact);
    cancel = false;
    while (editor.session->heal().value() > 0) {
    }
    CHECK(testing::relative_error(editor.logits(), recompute(editor)) < 2e-3);
    editor.engine->set_cancel_flag(nullptr);
}

} // namespace pie
