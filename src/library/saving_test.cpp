// Snapshots of a model that never comes to rest.

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

TEST_CASE("snapshots are written in their time while requests never stop coming") {
    const ScratchFolder scratch;
    const std::filesystem::path folder = scratch.path / "snapshots";
    const std::filesystem::path file = scratch.path / "tiny.gguf";
    testing::write_tiny_model({}, file);
    const Model model = Model::load(file, {.n_threads = 1,
                                           .n_ctx = 512,
                                           .n_predict_max = 64,
                                           .heal_when_idle = false,
                                           .snapshot_folder = folder,
                                           .snapshot_seconds = 0.05})
                            .value();
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
            const bool exists = std::filesystem::exists(folder) && !std::filesystem::is_empty(folder);
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
