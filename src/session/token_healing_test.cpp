// What is held back of the text before the cursor, with the vocabulary of a real model.

#include "model/store.h"
#include "session/live_document.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

namespace pie {
namespace {

struct Editor {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<LiveDocument> live;

    Editor() {
        const auto path = resolve_model("smollm2-135m");
        REQUIRE_MESSAGE(path.has_value(), "run: pie model pull smollm2-135m");
        model = LoadedModel::load(*path).value();
        engine = Engine::create(*model).value();
        live = LiveDocument::create(*engine, {.n_ctx = 512}).value();
    }
    UpdateReport show(const std::string& before) const {
        return live->update(before + "\n    return result\n", ByteOffset(before.size())).value();
    }
    std::string last() const { return model->vocabulary().piece(live->sequence().tokens().back()); }
};

const std::string above = "def total(items):\n    result = 0\n    for item in items:\n";

} // namespace

TEST_CASE("behind blanks, the first letter of a word changes nothing in the cache") {
    const Editor editor;
    for (const size_t n : {2, 4, 8, 12}) {
        CAPTURE(n);
        const std::string before = above + std::string(n, ' ');
        editor.show(before);
        CHECK(editor.last() == "\n" + std::string(n - 1, ' '));
        CHECK(editor.live->complete({.n_predict = 4}).has_value());
        CHECK(editor.show(before + "r").tokens_encoded == 0);
        CHECK(editor.last() == "\n" + std::string(n - 1, ' '));
    }
}

TEST_CASE("half a word is held back whole, and encoded along") {
    const Editor editor;
    const UpdateReport report = editor.show(above + "        result += it");
    CHECK(report.tokens_ahead == 1);
    CHECK(editor.last() == " +=");
    CHECK(editor.live->complete({.n_predict = 1}).has_value());
}

} // namespace pie
