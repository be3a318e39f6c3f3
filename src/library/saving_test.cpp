// Caches that are saved while everything goes on.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

struct Place {
    ScratchFolder scratch;
    std::filesystem::path folder = scratch.path / "snapshots";
    std::filesystem::path file = scratch.path / "tiny.gguf";

    Place() { testing::write_tiny_model({}, file); }

    ModelOptions options() const {
        return {.n_threads = 1,
                .n_ctx = 512,
                .n_predict_max = 64,
                .heal_when_idle = false,
                .snapshot_folder = folder};
    }
    Model load(const ModelOptions& options) const { return Model::load(file, options).value(); }
};

std::string some_text(int number) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
        text += "total_" + std::to_string(number) + " += item" + std::to_string(i) + "\n";
    }
    return text;
}

Session open_with(const Model& model, const std::string& name, const std::string& text) {
    Session session = model.open(name);
    REQUIRE(session.set_text(text, ByteOffset(text.size())));
    REQUIRE(session.encode());
    return session;
}

// Whether a session's cache holds a text already.
bool holds(const Model& model, const std::string& name, const std::string& text) {
    Session session = model.open(name);
    REQUIRE(session.set_text(text, ByteOffset(text.size())));
    REQUIRE(session.encode());
    return session.stats().last_update.tokens_encoded == 0;
}

} // namespace

TEST_CASE("a model that is closed in the middle of its saving has saved the last change") {
    const Place place;
    ModelOptions options = place.options();
    options.snapshot_seconds = 0;
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        {
            const Model model = place.load(options);
            for (int i = 0; i <= round % 3; ++i) {
                open_with(model, "a", some_text(10 * round + i));
            }
        }
        CHECK(holds(place.load(options), "a", some_text(10 * round + round % 3)));
    }
}

TEST_CASE("what a full disk refuses is told while the model lives") {
    const Place place;
    std::atomic<int> n_troubles = 0;
    ModelOptions options = place.options();
    options.snapshot_seconds = 0.01;
    options.on_trouble = [&](std::string_view, const Error& error) {
        n_troubles += error.code == ErrorCode::io ? 1 : 0;
    };
    {
        const Model model = place.load(options);
        const FileSizeLimit limit(1000);
        Session session = open_with(model, "a", some_text(1));
        while (n_troubles < 3) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        CHECK(session.complete({.n_predict = 2}));
    }
    CHECK(holds(place.load(options), "a", some_text(1)));
}

TEST_CASE("sessions are saved by name while others type, with and without room for copies") {
    const Place place;
    ModelOptions options = place.options();
    for (const size_t ram_bytes_max : {size_t{1}, size_t{1} << 30}) {
        CAPTURE(ram_bytes_max);
        options.ram_bytes_max = ram_bytes_max;
        const Model model = place.load(options);
        std::atomic<bool> is_over = false;
        std::thread typist([&] {
            Session session = model.open("typist");
            std::string text;
            while (!is_over) {
                text += 'x';
                text.resize(text.size() % 100);
                CHECK(session.set_text(text + "y", ByteOffset(text.size() + 1)));
                CHECK(session.complete({.n_predict = 2}));
            }
        });
        std::vector<std::thread> savers;
        for (int number = 0; number < 3; ++number) {
            savers.emplace_back([&, number] {
                const std::string name = "document " + std::to_string(number);
                Session session = model.open(name);
                for (int round = 0; round < 4; ++round) {
                    const std::string text = some_text(100 * number + round);
                    CHECK(session.set_text(text, ByteOffset(text.size())));
                    const auto saved = session.save(place.scratch.path / name);
                    CHECK(saved);
                    Session other = model.open();
                    CHECK(other.restore(place.scratch.path / name));
                    CHECK(other.set_text(text, ByteOffset(text.size())));
                    CHECK(other.encode());
                    CHECK(other.stats().last_update.tokens_encoded == 0);
                    CHECK(other.stats().tokens == saved.value_or(SavedCache()).tokens);
                }
            });
        }
        for (std::thread& saver : savers) {
            saver.join();
        }
        is_over = true;
        typist.join();
    }
}

TEST_CASE("what cannot be saved by name is told to who asked, and a file that was there stays") {
    const Place place;
    for (const size_t ram_bytes_max : {size_t{1}, size_t{1} << 30}) {
        CAPTURE(ram_bytes_max);
        ModelOptions options = place.options();
        options.ram_bytes_max = ram_bytes_max;
        const Model model = place.load(options);
        Session session = open_with(model, "a", some_text(1));
        CHECK(session.save(place.scratch.path / "none" / "a").error().code == ErrorCode::not_found);
        REQUIRE(session.save(place.scratch.path / "saved"));
        open_with(model, "a", some_text(2));
        {
            const FileSizeLimit limit(1000);
            CHECK(session.save(place.scratch.path / "saved").error().code == ErrorCode::io);
        }
        CHECK(session.restore(place.scratch.path / "saved"));
        CHECK(holds(model, "a", some_text(1)));
    }
}

TEST_CASE("snapshots are written in their time while requests never stop coming") {
    const Place place;
    ModelOptions options = place.options();
    options.snapshot_seconds = 0.05;
    const Model model = place.load(options);
    constexpr int n_sessions = 4;
    std::atomic<int> n_asking = 0;
    std::atomic<bool> is_saved = false;
    const auto ask_on = [&](int number) {
        Session session = model.open("document " + std::to_string(number));
        std::string text = "int a;\n";
        // Long enough for the others to stand in line again.
        const auto receive = [](std::string_view) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return StreamControl::stop;
        };
        ++n_asking;
        for (int i = 0; i < 200 && !is_saved; ++i) {
            text += 'x';
            CHECK(session.set_text(text, ByteOffset(text.size())));
            CHECK(session.complete({.n_predict = 4}, receive));
            const bool exists =
                std::filesystem::exists(place.folder) && !std::filesystem::is_empty(place.folder);
            is_saved = is_saved || (exists && n_asking == n_sessions);
        }
        --n_asking;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < n_sessions; ++i) {
        threads.emplace_back(ask_on, i);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(is_saved);
}

} // namespace pie
