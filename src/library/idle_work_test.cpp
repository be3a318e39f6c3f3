#include "base/test_fixtures.h"
#include "library/idle_work.h"
#include "library/worker.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

using Documents = std::vector<std::shared_ptr<DocumentState>>;

std::shared_ptr<DocumentState> document(bool behind, bool stale) {
    auto made = std::make_shared<DocumentState>();
    made->behind = behind;
    made->stale = stale;
    return made;
}

void check_choice(const IdleChoice& choice, IdleWork work, const std::shared_ptr<DocumentState>& document) {
    CHECK(choice.work == work);
    CHECK(choice.document == document);
}

} // namespace

TEST_CASE("the document used last is encoded and healed before others are encoded") {
    const Documents documents = {document(true, true), document(true, false), document(false, true)};
    check_choice(choose_idle_work(documents, true), IdleWork::encode, documents[0]);
    documents[0]->behind = false;
    check_choice(choose_idle_work(documents, true), IdleWork::heal, documents[0]);
    check_choice(choose_idle_work(documents, false), IdleWork::encode, documents[1]);
    documents[0]->stale = false;
    check_choice(choose_idle_work(documents, true), IdleWork::encode, documents[1]);
    documents[1]->behind = false;
    check_choice(choose_idle_work(documents, true), IdleWork::heal, documents[2]);
    check_choice(choose_idle_work(documents, false), IdleWork::none, nullptr);
    check_choice(choose_idle_work({}, true), IdleWork::none, nullptr);
}

TEST_CASE("what somebody waits for to be healed goes first") {
    const Documents documents = {document(true, true), document(false, true), document(true, true)};
    documents[2]->n_waiting_to_heal = 1;
    check_choice(choose_idle_work(documents, false), IdleWork::encode, documents[2]);
    documents[2]->behind = false;
    check_choice(choose_idle_work(documents, false), IdleWork::heal, documents[2]);
    documents[2]->stale = false;
    check_choice(choose_idle_work(documents, false), IdleWork::encode, documents[0]);
}

TEST_CASE("long texts that nobody came back for do not hold up the healing of another") {
    const ScratchFolder scratch;
    const auto file = scratch.path / "tiny.gguf";
    testing::write_tiny_model({.architecture = "qwen2", .n_layer = 8}, file);
    const Model model = Model::load(file, {.n_threads = 1, .n_ctx = 2048, .n_predict_max = 64}).value();
    std::string text;
    for (int i = 0; i < 10; ++i) {
        text += "total += item" + std::to_string(i) + "\n";
    }
    Session edited = model.open();
    REQUIRE(edited.set_text(text, ByteOffset(text.size())));
    std::vector<Session> abandoned;
    // While the model waits for this receiver, all of it comes.
    REQUIRE(edited.complete({.n_predict = 4}, [&](std::string_view) {
        for (int i = 0; i < 4 && abandoned.size() < 4; ++i) {
            abandoned.push_back(model.open());
            REQUIRE(
                abandoned.back().set_text(std::string(40'000, static_cast<char>('a' + i)), ByteOffset(0)));
        }
        return StreamControl::stop;
    }));
    const TextEdit edit{ByteOffset(0), ByteOffset(0), "x = 1\n"};
    REQUIRE(edited.edit(std::span(&edit, 1), ByteOffset(text.size())));
    REQUIRE(edited.heal());
    CHECK(edited.stats().tokens_exact == edited.stats().tokens);
    int n_encoded = 0;
    for (const Session& session : abandoned) {
        n_encoded += session.stats().version_encoded > 0 ? 1 : 0;
    }
    CHECK(n_encoded < 4); // all of them, where they go first
    for (Session& session : abandoned) {
        REQUIRE(session.encode()); // in the end they get their turn
    }
}

} // namespace pie
