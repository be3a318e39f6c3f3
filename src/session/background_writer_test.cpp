#include "session/background_writer.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

// A job at work until it is let go.
struct Gate {
    std::promise<void> begun;
    std::promise<void> go_on;

    BackgroundWriter::Job job(const std::string& path) {
        return {.path = path, .write = [this]() -> Result<void> {
                    begun.set_value();
                    go_on.get_future().wait();
                    return {};
                }};
    }
};

} // namespace

TEST_CASE("jobs are done in their order, on another thread, and heard on the owner's") {
    BackgroundWriter writer({});
    CHECK(writer.is_idle());
    std::vector<std::string> done; // by the writer's thread alone, until wait()
    std::vector<std::string> heard;
    std::thread::id thread;
    for (const char* name : {"a", "b", "c"}) {
        writer.add({.path = name,
                    .write = [&, name]() -> Result<void> {
                        done.emplace_back(name);
                        thread = std::this_thread::get_id();
                        return std::string(name) == "b" ? fail(ErrorCode::io, "no") : Result<void>();
                    },
                    .done =
                        [&, name](const Result<void>& result) {
                            CHECK(result.has_value() == (std::string(name) != "b"));
                            heard.emplace_back(name);
                        }});
    }
    writer.wait();
    CHECK(writer.is_idle());
    CHECK(done == std::vector<std::string>{"a", "b", "c"});
    CHECK(thread != std::this_thread::get_id());
    CHECK(heard.empty());
    writer.hear();
    CHECK(heard == done);
    writer.hear();
    CHECK(heard.size() == 3);
}

TEST_CASE("a newer job for a path takes the place of one that waits, not of one at work") {
    BackgroundWriter writer({});
    Gate gate;
    std::vector<int> done;
    const auto add = [&](int number) {
        writer.add({.path = "a", .write = [&, number]() -> Result<void> {
                        done.push_back(number);
                        return {};
                    }});
    };
    writer.add(gate.job("a"));
    gate.begun.get_future().wait();
    add(1);
    add(2);
    CHECK_FALSE(writer.is_idle());
    writer.wait_for("b"); // has nothing to wait for
    gate.go_on.set_value();
    writer.wait_for("a");
    CHECK(done == std::vector<int>{2});
}

TEST_CASE("what is waited for is done, and what comes behind it need not be") {
    Gate gate;
    std::atomic<bool> is_first_done = false;
    BackgroundWriter writer({});
    writer.add({.path = "a", .write = [&]() -> Result<void> {
                    is_first_done = true;
                    return {};
                }});
    writer.add(gate.job("b"));
    writer.wait_for("a");
    CHECK(is_first_done);
    gate.begun.get_future().wait();
    CHECK_FALSE(writer.is_idle());
    gate.go_on.set_value();
}

TEST_CASE("a job that throws has failed, and the next one is done") {
    BackgroundWriter writer({});
    std::vector<ErrorCode> codes;
    bool is_next_done = false;
    writer.add({.path = "a",
                .write = []() -> Result<void> { throw std::runtime_error("no memory"); },
                .done = [&](const Result<void>& result) { codes.push_back(result.error().code); }});
    writer.add({.path = "b", .write = [&]() -> Result<void> {
                    is_next_done = true;
                    return {};
                }});
    writer.wait();
    writer.hear();
    CHECK(codes == std::vector{ErrorCode::internal});
    CHECK(is_next_done);
}

TEST_CASE("what a job holds is gone when it is done, and what was handed over is done at the end") {
    auto held = std::make_shared<int>(1);
    std::weak_ptr<int> seen = held;
    std::atomic<int> n_idle = 0;
    int n_done = 0;
    {
        BackgroundWriter writer([&] { ++n_idle; });
        writer.add({.path = "a", .write = [held = std::move(held)]() -> Result<void> {
                        return *held == 1 ? Result<void>() : fail(ErrorCode::internal, "");
                    }});
        writer.wait();
        CHECK(seen.expired());
        for (int i = 0; i < 10; ++i) {
            writer.add({.path = std::to_string(i), .write = [&]() -> Result<void> {
                            ++n_done;
                            return {};
                        }});
        }
    }
    CHECK(n_done == 10);
    CHECK(n_idle >= 2);
}

} // namespace pie
