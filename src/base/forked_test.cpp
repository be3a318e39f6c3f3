#include "base/files.h"
#include "base/forked.h"
#include "base/interrupt.h"
#include "base/test_fixtures.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace {

using pie::ErrorCode;
using pie::Result;

const auto idle = [] {};

} // namespace

TEST_CASE("files that the work wrote stay, memory that it changed does not") {
    const pie::ScratchFolder scratch;
    int changed = 0;
    const auto done = pie::run_forked(
        [&]() -> Result<void> {
            changed = 1;
            return pie::write_file_atomic(scratch.path / "a", "written");
        },
        idle, "");
    CHECK(done.has_value());
    CHECK(changed == 0);
    CHECK(pie::read_file(scratch.path / "a", 100).value() == "written");
}

TEST_CASE("an error of the work comes back as it is") {
    const auto done = pie::run_forked(
        []() -> Result<void> { return pie::fail(ErrorCode::corrupt, "it is 'broken'"); }, idle, "");
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::corrupt);
    CHECK(done.error().message == "it is 'broken'");
}

TEST_CASE("an exception, a crash and an early end are errors, and this process goes on") {
    const auto thrown =
        pie::run_forked([]() -> Result<void> { throw std::runtime_error("thrown"); }, idle, "");
    REQUIRE_FALSE(thrown);
    CHECK(thrown.error().message == "thrown");

    const auto crashed = pie::run_forked(
        []() -> Result<void> {
            std::signal(SIGABRT, SIG_DFL); // the test's own handler would report it
            std::abort();
        },
        idle, "");
    REQUIRE_FALSE(crashed);
    CHECK(crashed.error().code == ErrorCode::internal);
    CHECK(crashed.error().message == "the process ended by signal 6");

    const auto ended = pie::run_forked([]() -> Result<void> { _exit(3); }, idle, "");
    REQUIRE_FALSE(ended);
    CHECK(ended.error().message == "the process ended without saying why");
}

TEST_CASE("an interruption ends work that would never end") {
    pie::install_interrupt_handlers();
    int calls = 0;
    const auto done = pie::run_forked(
        []() -> Result<void> {
            while (true) {
                pause();
            }
        },
        [&] {
            if (++calls == 2) {
                raise(SIGINT);
            }
        },
        "nothing was changed");
    pie::clear_interrupt();
    REQUIRE_FALSE(done);
    CHECK(done.error().code == ErrorCode::cancelled);
    CHECK(done.error().message == "interrupted; nothing was changed");
    CHECK(calls == 2);
}
