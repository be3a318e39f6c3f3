#include "base/files.h"
#include "base/interrupt.h"
#include "base/test_fixtures.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

namespace fs = std::filesystem;
using pie::ErrorCode;
using pie::FileSizeLimit;
using pie::ScratchFolder;
using pie::WriteFrom;

namespace {

size_t entries_in(const fs::path& folder) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

} // namespace

TEST_CASE("what is written is read back, up to the limit") {
    const ScratchFolder scratch;
    const fs::path file = scratch.path / "a";
    const std::string content = std::string(200'000, 'x') + std::string("\0end", 4);
    REQUIRE(pie::write_file_atomic(file, content));
    CHECK(pie::read_file(file, content.size()).value() == content);
    const auto too_large = pie::read_file(file, content.size() - 1);
    REQUIRE_FALSE(too_large);
    CHECK(too_large.error().code == ErrorCode::too_large);

    REQUIRE(pie::write_file_atomic(file, ""));
    CHECK(pie::read_file(file, 10).value().empty());
    CHECK(entries_in(scratch.path) == 1);
}

TEST_CASE("a missing file, a folder in its place and a folder below a file are errors that name it") {
    const ScratchFolder scratch;
    const auto missing = pie::read_file(scratch.path / "missing", 10);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::not_found);
    CHECK(missing.error().message.find("/missing'") != std::string::npos);

    const auto folder = pie::read_file(scratch.path, 10);
    REQUIRE_FALSE(folder);
    CHECK(folder.error().code == ErrorCode::io);

    REQUIRE(pie::write_file_atomic(scratch.path / "file", "x"));
    const auto below_file = pie::create_folder(scratch.path / "file" / "folder");
    REQUIRE_FALSE(below_file);
    CHECK(below_file.error().code == ErrorCode::io);
    CHECK(below_file.error().message.find("cannot create the folder") == 0);
}

TEST_CASE("a writer starts anew or goes on behind what is there") {
    const ScratchFolder scratch;
    const fs::path file = scratch.path / "a";
    for (const auto from : {WriteFrom::start, WriteFrom::end, WriteFrom::end}) {
        auto writer = pie::FileWriter::open(file, from);
        REQUIRE(writer);
        REQUIRE(writer->write("abc"));
        REQUIRE(writer->close());
    }
    CHECK(pie::read_file(file, 100).value() == "abcabcabc");
    auto writer = pie::FileWriter::open(file, WriteFrom::start);
    REQUIRE(writer);
    REQUIRE(writer->close());
    CHECK(pie::read_file(file, 100).value().empty());
}

TEST_CASE("a full disk is said, and leaves the old file as it was") {
    auto full_device = pie::FileWriter::open("/dev/full", WriteFrom::end);
    REQUIRE(full_device);
    const auto refused = full_device->write("x");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::io);
    CHECK(refused.error().message ==
          "cannot write '/dev/full': the disk is full; free some space and try again");

    const ScratchFolder scratch;
    const fs::path file = scratch.path / "a";
    REQUIRE(pie::write_file_atomic(file, "old"));
    {
        const FileSizeLimit limit(4096);
        const auto written = pie::write_file_atomic(file, std::string(10'000, 'x'));
        REQUIRE_FALSE(written);
        CHECK(written.error().code == ErrorCode::io);
    }
    CHECK(pie::read_file(file, 100).value() == "old");
    CHECK(entries_in(scratch.path) == 1);
}

TEST_CASE("a pipe is not waited for where a regular file belongs") {
    const ScratchFolder scratch;
    const fs::path fifo = scratch.path / "fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    const auto refused = pie::read_file(fifo, 100, pie::FileKind::regular);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::io);
    CHECK(pie::file_error_reason(refused.error()) == "it is no regular file");
    CHECK_FALSE(pie::read_file("/dev/zero", 100, pie::FileKind::regular));
    REQUIRE(pie::write_file_atomic(scratch.path / "file", "x"));
    CHECK(pie::read_file(scratch.path / "file", 100, pie::FileKind::regular).value() == "x");
}

TEST_CASE("what a stranger put where an unfinished file would lie is not written to") {
    const ScratchFolder scratch;
    const fs::path file = scratch.path / "file";
    const fs::path victim = scratch.path / "victim";
    REQUIRE(pie::write_file_atomic(victim, "kept"));
    const auto first = pie::create_unfinished(file, pie::FileAccess::shared);
    REQUIRE(first);
    const std::string name = first->path.string(); // file.PID.COUNT.partial
    const size_t count_begin = name.rfind('.', name.size() - pie::unfinished_suffix.size() - 1) + 1;
    const uint64_t count = std::stoull(name.substr(count_begin));
    const auto planted = [&](uint64_t n) {
        return name.substr(0, count_begin) + std::to_string(n) + std::string(pie::unfinished_suffix);
    };
    for (uint64_t n = count + 1; n <= count + 3; ++n) {
        fs::create_symlink(victim, planted(n));
    }
    fs::create_symlink(victim, file.string() + "." + std::to_string(getpid()) + ".partial");
    REQUIRE(pie::write_file_atomic(file, "new"));
    CHECK(pie::read_file(file, 100).value() == "new");
    CHECK(pie::read_file(victim, 100).value() == "kept");
    CHECK(fs::is_symlink(planted(count + 1)));
    CHECK_FALSE(fs::is_symlink(file));
}

TEST_CASE("what is for its owner alone has those rights whatever the umask, and its folders too") {
    const ScratchFolder scratch;
    const mode_t before = umask(0);
    const fs::path folder = scratch.path / "a" / "b";
    const bool made = pie::create_folder(folder, pie::FileAccess::owner_only).has_value() &&
                      pie::write_file_atomic(folder / "private", "x", pie::FileAccess::owner_only) &&
                      pie::write_file_atomic(folder / "shared", "x");
    umask(before);
    REQUIRE(made);
    const auto rights = [](const fs::path& path) {
        return static_cast<unsigned>(fs::status(path).permissions());
    };
    CHECK(rights(scratch.path / "a") == 0700);
    CHECK(rights(folder) == 0700);
    CHECK(rights(folder / "private") == 0600);
    CHECK(rights(folder / "shared") == 0666);

    fs::permissions(folder, fs::perms(0750));
    CHECK(pie::create_folder(folder, pie::FileAccess::owner_only)); // somebody's own
    CHECK(rights(folder) == 0750);
    CHECK(pie::create_folder(folder.string() + "/", pie::FileAccess::owner_only));
    const auto file = pie::create_folder(folder / "private", pie::FileAccess::owner_only);
    REQUIRE_FALSE(file);
    CHECK(pie::file_error_reason(file.error()) == "Not a directory");
    CHECK_FALSE(pie::create_folder(folder / "private" / "c", pie::FileAccess::owner_only));
}

TEST_CASE("a lock is held by one process at a time, and goes with it") {
    const ScratchFolder scratch;
    const fs::path lock_path = scratch.path / "lock";
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    const pid_t child = fork();
    if (child == 0) {
        const auto lock = pie::FileLock::acquire(lock_path, [] {});
        const char byte = lock ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1) {
            _exit(1);
        }
        usleep(300'000);
        _exit(0);
    }
    char locked = 0;
    REQUIRE(read(ready[0], &locked, 1) == 1);
    REQUIRE(locked == 'y');

    int waits = 0;
    const auto lock = pie::FileLock::acquire(lock_path, [&] { ++waits; });
    CHECK(lock);
    CHECK(waits == 1);
    int status = 0;
    waitpid(child, &status, 0);

    // The same process opens the file anew, so it is locked out as another would be, until it is interrupted.
    pie::install_interrupt_handlers();
    std::thread interrupter([] { raise(SIGINT); });
    const auto second = pie::FileLock::acquire(lock_path, [] {});
    interrupter.join();
    pie::clear_interrupt();
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::cancelled);
    close(ready[0]);
    close(ready[1]);
}

TEST_CASE("room on a disk is there or not, and the message says what to do") {
    const ScratchFolder scratch;
    CHECK(pie::check_free_space(scratch.path, 1, "wait").has_value());
    const auto refused = pie::check_free_space(scratch.path, uint64_t{1} << 62, "name another disk");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::io);
    CHECK(refused.error().message.find("free some space, or name another disk") != std::string::npos);
    CHECK(pie::check_free_space(scratch.path / "missing", 1, "wait").has_value());
}
