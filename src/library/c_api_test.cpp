// The C interface against the C++ one.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>
#include <pie/pie.h>

#include <doctest/doctest.h>

#include <cstring>
#include <string>

namespace pie {
namespace {

const std::string text = "int add(int a, int b) {\n    return \n}\n";
constexpr size_t cursor = 35;

bool gather(const char* piece, size_t n_bytes, void* user) {
    static_cast<std::string*>(user)->append(piece, n_bytes);
    return true;
}

bool stop_at_once(const char*, size_t, void*) {
    return false;
}

} // namespace

TEST_CASE("C callers get what C++ callers get") {
    const ScratchFolder scratch;
    const std::string file = (scratch.path / "tiny.gguf").string();
    testing::write_tiny_model({.architecture = "qwen2"}, file);
    pie_model_options options = pie_model_options_default();
    options.n_threads = 1;
    options.n_ctx = 512;
    pie_model* model = nullptr;
    REQUIRE(pie_model_load(file.c_str(), &options, &model) == PIE_OK);
    pie_session* session = nullptr;
    REQUIRE(pie_session_open(model, "a.c", &session) == PIE_OK);
    pie_model_free(model); // the session keeps it

    REQUIRE(pie_session_set_text(session, text.data(), text.size(), cursor) == PIE_OK);
    REQUIRE(pie_session_edit(session, 0, 3, "long", 4, cursor + 1) == PIE_OK);
    pie_completion_options completion = pie_completion_options_default();
    completion.n_predict = 3; // with more, this random model comes to tokens that only rounding decides
    const char* const stops[] = {"never written"};
    completion.stop_strings = stops;
    completion.n_stop_strings = 1;
    std::string streamed;
    char* whole = nullptr;
    REQUIRE(pie_session_complete(session, &completion, gather, &streamed, &whole) == PIE_OK);
    CHECK(streamed == whole);

    const Model same = *Model::load(file, {.n_threads = 1, .n_ctx = 512});
    Session other = same.open();
    REQUIRE(other.set_text("long" + text.substr(3), ByteOffset(cursor + 1)));
    REQUIRE(other.heal());
    REQUIRE(pie_session_heal(session) == PIE_OK);
    char* healed = nullptr;
    REQUIRE(pie_session_complete(session, &completion, nullptr, nullptr, &healed) == PIE_OK);
    CHECK(other.complete({.n_predict = 3}).value().text == healed);
    pie_text_free(whole);
    pie_text_free(healed);

    CHECK(pie_session_complete(session, nullptr, stop_at_once, nullptr, nullptr) == PIE_OK);
    const pie_session_stats stats = pie_session_get_stats(session);
    CHECK(stats.version == 2);
    CHECK(stats.version_encoded == 2);
    CHECK(stats.tokens == other.stats().tokens);
    CHECK(stats.tokens_exact == stats.tokens);
    CHECK(stats.last_tokens_encoded > 0);

    const std::string saved = (scratch.path / "saved").string();
    CHECK(pie_session_save(session, saved.c_str()) == PIE_OK);
    CHECK(pie_session_restore(session, saved.c_str()) == PIE_OK);
    CHECK(pie_session_get_stats(session).tokens == stats.tokens);
    CHECK(pie_session_restore(session, (saved + "?").c_str()) == PIE_NOT_FOUND);
    pie_session_free(session);
}

TEST_CASE("errors come as a status and a message") {
    pie_model* model = nullptr;
    CHECK(pie_model_load("no/such/model.gguf", nullptr, &model) == PIE_NOT_FOUND);
    CHECK(std::strstr(pie_last_error(), "no/such/model.gguf") != nullptr);
    const ScratchFolder scratch;
    const std::string file = (scratch.path / "tiny.gguf").string();
    testing::write_tiny_model({.architecture = "qwen2"}, file);
    REQUIRE(pie_model_load(file.c_str(), nullptr, &model) == PIE_OK);
    CHECK(std::string(pie_last_error()).empty());
    pie_session* session = nullptr;
    REQUIRE(pie_session_open(model, nullptr, &session) == PIE_OK);
    CHECK(pie_session_encode(session) == PIE_INVALID_ARGUMENT);
    CHECK(pie_session_set_text(session, "\xff", 1, 0) == PIE_CORRUPT);
    CHECK(pie_session_edit(session, 0, 0, "a", 1, 1) == PIE_INVALID_ARGUMENT);
    pie_session_cancel(session);
    pie_session_free(session);
    pie_model_free(model);
    pie_session_free(nullptr);
    pie_model_free(nullptr);
}

} // namespace pie
