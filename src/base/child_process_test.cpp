#include "base/child_process.h"
#include "base/test_fixtures.h"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <thread>

namespace pie {
namespace {

// Counts in a file for as long as it runs.
Result<ChildProcess> start_counter(const ScratchFolder& scratch) {
    return ChildProcess::start(
        "/bin/sh",
        {"-c", "while :; do echo x >> \"$0\"; sleep 0.01; done", (scratch.path / "count").string()},
        scratch.path / "log");
}

uintmax_t count(const ScratchFolder& scratch) {
    std::error_code error;
    const uintmax_t n = std::filesystem::file_size(scratch.path / "count", error);
    return error ? 0 : n;
}

bool grows(const ScratchFolder& scratch, int tries) {
    const uintmax_t before = count(scratch);
    for (int i = 0; i < tries; ++i) {
        if (count(scratch) > before) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

} // namespace

TEST_CASE("a child runs, stands still while it is paused, and ends with its owner") {
    const ScratchFolder scratch;
    {
        auto child = start_counter(scratch);
        REQUIRE(child);
        CHECK(grows(scratch, 3000));
        child->pause();
        CHECK_FALSE(grows(scratch, 10));
        CHECK_FALSE(child->has_ended());
        child->go_on();
        CHECK(grows(scratch, 3000));
        child->pause();
    }
    CHECK_FALSE(grows(scratch, 10));
}

TEST_CASE("an end is noticed, and what was said is in the log") {
    const ScratchFolder scratch;
    auto child = ChildProcess::start("/bin/sh", {"-c", "echo out; echo err >&2"}, scratch.path / "log");
    REQUIRE(child);
    for (int i = 0; i < 3000 && !child->has_ended(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    CHECK(child->has_ended());
    std::ifstream log(scratch.path / "log");
    std::string text((std::istreambuf_iterator<char>(log)), {});
    CHECK(text == "out\nerr\n");
    child->pause(); // does nothing
    child->go_on();
}

TEST_CASE("the most memory that a child had") {
    const ScratchFolder scratch;
    auto child = start_counter(scratch);
    REQUIRE(child);
    // Up to the program's first instructions the memory is that of the test, and then a page.
    REQUIRE(grows(scratch, 3000));
    CHECK(child->peak_memory_bytes() > 100'000);
    CHECK(child->peak_memory_bytes() < 1'000'000'000);
    child->forget_peak();
    CHECK(child->peak_memory_bytes() > 0);
}

TEST_CASE("what cannot be started") {
    const ScratchFolder scratch;
    const auto none = ChildProcess::start("/no/such/program", {}, scratch.path / "log");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == ErrorCode::not_found);
    const auto nowhere = ChildProcess::start("/bin/true", {}, scratch.path / "no" / "log");
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().message.find("log") != std::string::npos);
}

TEST_CASE("a free port") {
    const auto port = find_free_port();
    REQUIRE(port);
    CHECK(*port > 1023);
    CHECK(*port < 65536);
}

} // namespace pie
