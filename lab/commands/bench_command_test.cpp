// Drives `pie-lab bench` against a stand-in for llama-server: our own server, which answers the same
// requests.

#include "commands/lab_fixture.h"
#include "prompt/test_repository_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace pie {
namespace {

struct BenchPlace : Lab {
    std::string model = (scratch.path / "tiny.gguf").string();
    std::string sources = (scratch.path / "sources").string();
    std::string results = (scratch.path / "results").string();
    std::string server = (scratch.path / "llama-server").string();
    std::string workloads = "open,typing";
    std::string systems = "all";
    std::string contexts = "400";
    std::string steps = "2";

    BenchPlace() {
        testing::write_tiny_model(test::repository_model(), model);
        std::filesystem::create_directories(sources);
        std::ofstream source(scratch.path / "sources" / "stock.cpp");
        for (int i = 0; i < 800; ++i) {
            source << fmt::format("    int stock_{} = price[{}] + count;\n", i % 31, i);
        }
        write_server(R"(
            arguments=
            while [ $# -gt 0 ]; do
                case $1 in
                    -c | --host | -b | -ub | --cache-reuse | --parallel) ;;
                    *) arguments="$arguments $1 $2" ;;
                esac
                shift 2
            done
            exec ")" PIE_PROGRAM R"(" serve $arguments --log-level warning)");
    }

    // A script that tells its version, and does `serves` to serve.
    void write_server(const std::string& serves) const {
        std::ofstream(server) << "#!/bin/sh\nif [ \"$1\" = --version ]; then echo version: 1.2.3; exit; fi\n"
                              << serves << "\n";
        std::filesystem::permissions(server, std::filesystem::perms::owner_all);
    }

    Ended bench(const std::vector<std::string>& more = {}) {
        std::vector<std::string> words = {
            "bench",     "--against", server,    "-m",  model,        "--workloads", workloads,
            "--systems", systems,     "--steps", steps, "--contexts", contexts,      "--check-every",
            "1",         "--source",  sources,   "-t",  "1",          "--out",       results};
        words.insert(words.end(), more.begin(), more.end());
        return run_lab(words);
    }

    std::vector<nlohmann::json> lines() const {
        std::ifstream file(results + "/serving.jsonl");
        std::vector<nlohmann::json> found;
        for (std::string line; std::getline(file, line);) {
            found.push_back(nlohmann::json::parse(line));
        }
        return found;
    }
};

} // namespace

TEST_CASE("servers side by side: measured once, reported and compared as often as wanted") {
    BenchPlace place;
    const Ended first = place.bench();
    CAPTURE(first.err);
    REQUIRE(first.status == 0);
    CHECK(contains(first.out, "| typing "));
    CHECK(contains(first.out, "llama-server 1.2.3"));

    const auto lines = place.lines();
    REQUIRE(lines.size() == 12); // two workloads, five servers and the limit
    for (const auto& line : lines) {
        CAPTURE(line.dump());
        const bool is_limit = line["system"] == "limit";
        const size_t n_steps = line["workload"] == "open" ? 1 : 2;
        CHECK(line["first_ms"].size() == n_steps);
        CHECK(line["total_ms"].size() == (is_limit ? 0 : n_steps));
        CHECK((is_limit || line["peak_memory_bytes"] > 1'000'000));
        // A keystroke is what had to be encoded, not the document.
        if (line["system"] == "pie") {
            const auto encoded = line["tokens_encoded"].front().get<int>();
            CHECK((line["workload"] == "open" ? encoded > 200 : encoded < 50));
        }
    }

    place.write_server("exit 1"); // whoever starts it now fails
    const Ended again = place.bench({"--json"});
    CAPTURE(again.err);
    CHECK(again.status == 0);
    CHECK(place.lines().size() == 12);
    CHECK(nlohmann::json::parse(again.out.substr(0, again.out.find('\n')))["workload"] == "open");

    const Ended report = place.run_lab({"bench", "report", place.results});
    CHECK(report.status == 0);
    CHECK(report.out == first.out);

    const std::string slower = (place.scratch.path / "slower").string();
    std::filesystem::create_directories(slower);
    std::ofstream file(slower + "/serving.jsonl");
    for (nlohmann::ordered_json line : lines) {
        nlohmann::ordered_json ordered = {{"commit", line["commit"]}};
        ordered.update(line);
        if (line["system"] == "pie") {
            for (auto& first_ms : ordered["first_ms"]) {
                first_ms = 2 * first_ms.get<double>();
            }
        }
        file << ordered.dump() << "\n";
    }
    file.close();
    CHECK(place.run_lab({"bench", "compare", place.results, place.results}).status == 0);
    const Ended fell = place.run_lab({"bench", "compare", place.results, slower});
    CHECK(fell.status == 1);
    CHECK(contains(fell.out, "fell"));
    CHECK(place.run_lab({"bench", "compare", slower, place.results}).status == 0);
}

TEST_CASE("a session that was edited before, and several sessions at once") {
    BenchPlace place;
    place.workloads = "after-100,sessions-2";
    place.systems = "suffix-first";
    place.steps = "4";
    const Ended ended = place.bench();
    CAPTURE(ended.err);
    REQUIRE(ended.status == 0);
    CHECK(contains(ended.err, "400 tokens: 2 workloads, 12 timed requests, about "));
    CHECK(contains(ended.err, "in all about "));

    std::vector<std::string> measured;
    for (const auto& line : place.lines()) {
        measured.push_back(line["workload"].get<std::string>() + " " + line["system"].get<std::string>());
        CHECK(line["first_ms"].size() == 4);
        if (line["system"] == "pie") { // each session has a cache of its own
            CHECK(line["tokens_encoded"].back().get<int>() < 80);
            CHECK(line["tokens_context"].back().get<int>() > 300);
        }
    }
    CHECK(measured == std::vector<std::string>{"after-100 limit", "after-100 pie", "sessions-2 limit",
                                               "sessions-2 suffix-first", "sessions-2 pie"});

    // Other systems are not measured yet; the same ones are.
    place.write_server("exit 1");
    CHECK(place.bench().status == 0);
    place.systems = "line-last";
    CHECK(place.bench().status == 1);
    CHECK(place.lines().size() == 5);
}

TEST_CASE("a server that does not start is named, with the place of its log") {
    BenchPlace place;
    place.write_server("echo no memory; exit 1");
    const Ended ended = place.bench();
    CHECK(ended.status == 1);
    CHECK(contains(ended.err, "llama.vim.log"));
    CHECK(place.lines().empty());
}

TEST_CASE("wrong use") {
    BenchPlace place;
    CHECK(place.run_lab({"bench"}).status == 2);
    const Ended unknown = place.run_lab({"bench", "--against", place.model});
    CHECK(unknown.status == 2);
    CHECK(contains(unknown.err, "llama-server"));
    place.workloads = "dancing";
    CHECK(contains(place.bench().err, "there is no workload 'dancing'"));
    place.workloads = "typing";
    place.systems = "dancing";
    CHECK(contains(place.bench().err, "there is no system 'dancing'"));
    place.systems = "all";
    place.contexts = "64k";
    CHECK(contains(place.bench().err, "give smaller --contexts"));
    CHECK(place.run_lab({"bench", "report", place.sources}).status == 1);
}

} // namespace pie
