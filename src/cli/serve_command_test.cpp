// Drives `pie serve` as a process: it starts, answers, and ends when it is told to.

#include "prompt/test_repository_model.h"
#include "server/client_config.h"
#include "support/program_fixture.h"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

struct ServeProgram : Program {
    std::string model = (scratch.path / "tiny.gguf").string();

    ServeProgram() { testing::write_tiny_model(test::repository_model(), model); }

    // The port that the program says it listens on; 0: it says none within some seconds.
    int port() const {
        const std::string before = "listening on http://127.0.0.1:";
        for (int i = 0; i < 6000; ++i) {
            const std::string said = read_file(scratch.path / "err", 1 << 20).value_or("");
            const size_t found = said.find(before);
            if (found != std::string::npos && said.find('\n', found) != std::string::npos) {
                return std::stoi(said.substr(found + before.size()));
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return 0;
    }
};

} // namespace

TEST_CASE("it serves until it is told to end, and keeps its sessions for the next time") {
    ServeProgram work;
    const std::string snapshots = (work.scratch.path / "snapshots").string();
    const std::string body =
        R"({"input_prefix":"def add(a, b):\n    return ","input_suffix":"\n","n_predict":4,"temperature":0})";
    for (const int signal : {SIGHUP, SIGTERM, SIGINT}) {
        nlohmann::json answer;
        std::filesystem::remove(work.scratch.path / "err"); // what the one before said
        const Ended ended = work.run(
            {"serve", "-m", work.model, "--port", "0", "-c", "512", "-n", "64", "--snapshots", snapshots},
            [&](pid_t child) {
                const int port = work.port();
                if (port > 0) {
                    httplib::Client client("127.0.0.1", port);
                    client.set_read_timeout(120);
                    const auto health = client.Get("/health");
                    CHECK((health && health->status == 200));
                    if (const auto result = client.Post("/infill", body, "application/json")) {
                        answer = nlohmann::json::parse(result->body, nullptr, false);
                    }
                }
                kill(child, signal);
            });
        CAPTURE(ended.err);
        CHECK(ended.status == 0);
        REQUIRE(answer.contains("reuse"));
        CHECK(contains(ended.err, "POST /infill 200"));
        CHECK(contains(ended.err, "pie: tiny (fills in the middle), a context of 512 tokens, "));
        CHECK(contains(ended.err, " threads, at most 2.00 GB for caches\n"));
        CHECK(contains(ended.err, "pie: a session takes what it fills of its cache, up to "));
        CHECK_FALSE(contains(ended.err, "/health")); // probes are not worth a line
        CHECK_FALSE(contains(ended.err, "def add")); // no source text in the log
        const bool is_first = signal == SIGHUP;
        CHECK((answer["reuse"]["tokens_kept"].get<int>() == 0) == is_first);
    }
}

TEST_CASE("it listens to other machines only with a key") {
    ServeProgram work;
    const Ended ended = work.run({"serve", "-m", work.model, "--host", "0.0.0.0"});
    CHECK(ended.status == 2);
    CHECK(contains(ended.err, "--api-key-file"));
    const EnvironmentVariable key("PIE_API_KEY", "secret");
    const Ended let = work.run({"serve", "-m", "none.gguf", "--host", "0.0.0.0"});
    CHECK(contains(let.err, "none.gguf"));
    CHECK_FALSE(contains(let.err, "secret"));
}

TEST_CASE("a snapshot folder that is none is refused before the model is loaded") {
    ServeProgram work;
    const Ended ended = work.run({"serve", "-m", work.model, "--port", "0", "--snapshots", work.model});
    CHECK(ended.status == 1);
    CHECK(ended.err == "pie: cannot create the folder '" + work.model + "': Not a directory\n");
}

TEST_CASE("what to paste into an editor's settings") {
    ServeProgram work;
    const Ended vim = work.run({"serve", "--print-config", "vim", "--port", "9000"});
    CHECK(vim.status == 0);
    CHECK(contains(vim.out, "http://127.0.0.1:9000/infill"));
    CHECK(work.run({"serve", "--print-config", "ed"}).status == 2);
    const Ended everywhere = work.run({"serve", "--print-config", "continue", "--host", "0.0.0.0"});
    CHECK(contains(everywhere.out, "apiBase: http://127.0.0.1:8012\n"));
    for (const char* field : {"name: pie\n", "version: 1.0.0\n", "schema: v1\n"}) {
        CHECK(contains(everywhere.out, field));
    }
    CHECK(contains(work.run({"serve", "--print-config", "vim"}).out,
                   "'endpoint_inst': 'http://127.0.0.1:8012/"));
    CHECK(contains(work.run({"serve", "--print-config", "vscode"}).out, "\"llama-vscode.endpoint_chat\""));
}

TEST_CASE("every editor's settings hold the key that the server asks for") {
    ServeProgram work;
    const std::vector<std::string> editors = configurable_editors();
    CHECK(editors.size() == 8);
    for (const std::string& editor : editors) {
        CAPTURE(editor);
        const Ended without = work.run({"serve", "--print-config", editor});
        CHECK(without.status == 0);
        CHECK_FALSE(contains(without.out, "secret"));
        CHECK(contains(without.out, "http://127.0.0.1:8012"));
        const EnvironmentVariable key("PIE_API_KEY", "secret");
        CHECK(contains(work.run({"serve", "--print-config", editor}).out, "secret"));
    }
}

} // namespace pie
