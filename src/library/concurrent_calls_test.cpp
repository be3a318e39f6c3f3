// Any calls of a session's interface from any threads: each gets a result or an error, and afterwards the
// session answers as a fresh one does.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

struct SavedPlace {
    ScratchFolder scratch;
    std::filesystem::path file = scratch.path / "tiny.gguf";

    SavedPlace() { testing::write_tiny_model({}, file); }
    Model load() const {
        return Model::load(file, {.n_threads = 1, .n_ctx = 2048, .n_predict_max = 32}).value();
    }
};

std::string lines_of(unsigned number) {
    std::string text;
    for (unsigned i = 0; i < 20 + number % 5; ++i) {
        text += "sum_" + std::to_string(number % 7) + " += value" + std::to_string(i) + "\n";
    }
    return text;
}

// What may come of a call beside a result.
bool is_expected(const Error& error) {
    constexpr std::array codes = {ErrorCode::cancelled, ErrorCode::invalid_argument, ErrorCode::not_found,
                                  ErrorCode::busy};
    return std::ranges::find(codes, error.code) != codes.end();
}

template <typename T>
bool is_expected(const Result<T>& result) {
    return result.has_value() || is_expected(result.error());
}

struct Caller {
    std::array<Session, 4> sessions;
    std::filesystem::path folder;
    std::mt19937 random;
    unsigned n_completed = 0;
    unsigned n_restored = 0;

    // Returns whether what came of it may come of it.
    bool call() {
        const size_t index = random() % sessions.size();
        Session& session = sessions[index];
        const std::filesystem::path file = folder / std::to_string(index);
        const std::string text = lines_of(static_cast<unsigned>(random()));
        switch (random() % 8) {
        case 0:
            return is_expected(session.set_text(text, ByteOffset(text.size())));
        case 1: {
            const std::array edits = {TextEdit{ByteOffset(0), ByteOffset(3), "x"}};
            return is_expected(session.edit(edits, ByteOffset(1)));
        }
        case 2:
            session.cancel();
            return true;
        case 3:
            session.forget();
            return true;
        case 4:
            return is_expected(session.save(file));
        case 5: {
            const auto restored = session.restore(file);
            n_restored += restored ? 1 : 0;
            return is_expected(restored);
        }
        default: {
            const auto completed = session.complete({.n_predict = 4});
            n_completed += completed ? 1 : 0;
            return is_expected(completed);
        }
        }
    }
};

} // namespace

TEST_CASE("a completion that waits while its session's text is replaced by a saved cache is refused") {
    const SavedPlace place;
    const Model model = place.load();
    Session session = model.open("a");
    const std::string text = lines_of(1);
    REQUIRE(session.set_text(text, ByteOffset(text.size())));
    REQUIRE(session.save(place.scratch.path / "saved"));
    for (int round = 0; round < 300; ++round) {
        REQUIRE(session.set_text(text, ByteOffset(text.size())));
        std::future<Result<SavedCache>> restored =
            std::async(std::launch::async, [&] { return session.restore(place.scratch.path / "saved"); });
        for (int i = 0; i < round; ++i) { // so that it comes at any moment of the other's
            std::this_thread::yield();
        }
        session.forget();
        CHECK(is_expected(session.complete({.n_predict = 2})));
        CHECK(is_expected(restored.get()));
    }
    REQUIRE(session.set_text(text, ByteOffset(text.size())));
    CHECK(session.complete({.n_predict = 2}).has_value());
}

TEST_CASE("any calls at the same time end in results and errors, and the sessions work on") {
    const unsigned n_calls = number_from_environment("PIE_TEST_CALLS", 300); // of each thread
    const unsigned seed = number_from_environment("PIE_TEST_SEED", 1);
    MESSAGE("PIE_TEST_SEED=" << seed << " PIE_TEST_CALLS=" << n_calls);
    const SavedPlace place;
    const Model model = place.load();
    // There is something to restore from the first call on, however few saves are whole before others' calls.
    for (unsigned i = 0; i < 4; ++i) {
        Session session = model.open(std::string(1, static_cast<char>('a' + i)));
        REQUIRE(session.set_text(lines_of(i), ByteOffset(0)));
        REQUIRE(session.save(place.scratch.path / std::to_string(i)));
    }
    std::vector<Caller> callers;
    for (unsigned i = 0; i < 8; ++i) {
        callers.push_back({.sessions = {model.open("a"), model.open("b"), model.open("c"), model.open("d")},
                           .folder = place.scratch.path,
                           .random = std::mt19937(seed + i)});
    }
    std::atomic<unsigned> n_unexpected = 0;
    std::vector<std::thread> threads;
    for (Caller& caller : callers) {
        threads.emplace_back([&] {
            for (unsigned i = 0; i < n_calls; ++i) {
                n_unexpected += caller.call() ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(n_unexpected == 0);
    unsigned n_completed = 0;
    unsigned n_restored = 0;
    for (const Caller& caller : callers) {
        n_completed += caller.n_completed;
        n_restored += caller.n_restored;
    }
    CHECK(n_completed > 0);
    CHECK(n_restored > 0);
    const std::string text = lines_of(3);
    for (Session& session : callers.front().sessions) {
        REQUIRE(session.set_text(text, ByteOffset(text.size())));
        CHECK(session.complete({.n_predict = 4}).has_value());
    }
}

} // namespace pie
