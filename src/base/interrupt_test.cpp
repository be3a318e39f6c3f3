#include "base/interrupt.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

TEST_CASE("the first signal sets the flag, the second ends the process") {
    const pid_t child = fork();
    if (child == 0) {
        pie::install_interrupt_handlers();
        if (pie::interrupted()) {
            _exit(1);
        }
        raise(SIGINT);
        if (!pie::interrupted()) {
            _exit(2);
        }
        raise(SIGTERM);
        _exit(3);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("a terminal that goes away interrupts, unless that was to be ignored") {
    for (const bool ignored : {false, true}) {
        CAPTURE(ignored);
        const pid_t child = fork();
        if (child == 0) {
            std::signal(SIGHUP, ignored ? SIG_IGN : SIG_DFL);
            pie::install_interrupt_handlers();
            raise(SIGHUP);
            const bool told = pie::interrupted() && pie::interrupting_signal() == SIGHUP;
            _exit(told == !ignored ? 0 : 1);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
}

TEST_CASE("a cleared interrupt counts as none, and the error carries the consequence") {
    pie::install_interrupt_handlers();
    raise(SIGTERM);
    CHECK(pie::interrupted());
    CHECK(pie::interrupting_signal() == SIGTERM);
    pie::clear_interrupt();
    CHECK_FALSE(pie::interrupted());
    const pie::Error error = pie::fail_interrupted("nothing was changed").value();
    CHECK(error.code == pie::ErrorCode::cancelled);
    CHECK(error.message == "interrupted; nothing was changed");
}
