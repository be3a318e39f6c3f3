// Programs that try what they must not: each is written so that it passes only where it was kept from it.

#include "base/test_fixtures.h"
#include "eval/sandbox.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace pie {
namespace {

// A machine whose kernel grants no sandbox runs nothing, which is right, and leaves nothing to test.
bool has_sandbox() {
    const auto ended = run_python("pass\n");
    if (!ended) {
        MESSAGE("not tested: " << ended.error().message);
        CHECK(ended.error().code == ErrorCode::unsupported);
    }
    return ended.has_value();
}

void expect(const std::string& program, ProgramEnd end) {
    CAPTURE(program);
    const auto ended = run_python(program, {.seconds = 3, .memory_mb = 256});
    REQUIRE(ended.has_value());
    CHECK(*ended == end);
}

// Passes where `action` raises an error.
std::string forbidden(const std::string& action) {
    return "import os, socket, subprocess\ntry:\n    " + action +
           "\nexcept OSError:\n    pass\nelse:\n    os._exit(1)\n";
}

} // namespace

TEST_CASE("programs pass or fail as they end") {
    if (!has_sandbox()) {
        return;
    }
    expect("import math\nassert math.sqrt(4) == 2\n", ProgramEnd::passed);
    expect("assert 1 == 2\n", ProgramEnd::failed);
    expect("def f(:\n", ProgramEnd::failed);
    expect("import os\nos._exit(3)\n", ProgramEnd::failed);
    expect("import os\nos.kill(os.getpid(), 11)\nos.abort()\n", ProgramEnd::failed);
    expect("print('x' * 100000)\nimport sys\nassert sys.stdin.read() == ''\n", ProgramEnd::passed);
}

TEST_CASE("no network, no file written or removed, nothing of the caller's") {
    if (!has_sandbox()) {
        return;
    }
    const ScratchFolder folder;
    const std::string mine = (folder.path / "mine").string();
    std::filesystem::create_directory(mine);
    const EnvironmentVariable secret("PIE_SANDBOX_SECRET", "1");
    expect(forbidden("socket.create_connection(('127.0.0.1', 9), 1)"), ProgramEnd::passed);
    expect("import socket\nassert [name for _, name in socket.if_nameindex()] in ([], ['lo'])\n",
           ProgramEnd::passed);
    expect(forbidden("open('" + mine + "/new', 'w')"), ProgramEnd::passed);
    expect(forbidden("os.rmdir('" + mine + "')"), ProgramEnd::passed);
    expect(forbidden("open('/tmp/pie-sandbox', 'w')"), ProgramEnd::passed);
    expect(forbidden("open('/dev/shm/pie-sandbox', 'w')"), ProgramEnd::passed);
    expect("import os\nassert 'PIE_SANDBOX_SECRET' not in os.environ\n", ProgramEnd::passed);
    expect("import os\nassert os.getpid() == 1\n", ProgramEnd::passed);
    expect(forbidden("os.kill(" + std::to_string(getpid()) + ", 0)"), ProgramEnd::passed);
    expect("import os\nassert all(int(n) < 4 for n in os.listdir('/dev/fd')) if os.path.exists('/dev/fd') "
           "else True\n",
           ProgramEnd::passed);
    CHECK(std::filesystem::exists(mine));
}

TEST_CASE("time and memory end") {
    if (!has_sandbox()) {
        return;
    }
    expect("x = bytearray(1 << 30)\n", ProgramEnd::failed);
    const auto start = std::chrono::steady_clock::now();
    const auto ended = run_python("import time\ntime.sleep(1000)\n", {.seconds = 1});
    REQUIRE(ended.has_value());
    CHECK(*ended == ProgramEnd::timed_out);
    // Children that would outlive it go with it, and do not hold the caller up.
    const auto left =
        run_python("import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\n");
    REQUIRE(left.has_value());
    CHECK(*left == ProgramEnd::passed);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

TEST_CASE("a program that is too long is not run") {
    CHECK(run_python(std::string(2 << 20, '#')).error().code == ErrorCode::too_large);
}

} // namespace pie
