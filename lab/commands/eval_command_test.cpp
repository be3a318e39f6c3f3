// Drives `pie-lab eval build`, `run` and `report` on a tiny random model.

#include "commands/lab_fixture.h"
#include "support/tiny_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace pie {
namespace {

// A folder with a model and a small tree of sources.
struct EvalPlace : Lab {
    std::string model = (scratch.path / "tiny.gguf").string();
    std::string sources = (scratch.path / "shop").string();
    std::string data = (scratch.path / "samples.jsonl").string();
    std::string results = (scratch.path / "results").string();

    EvalPlace() {
        testing::write_tiny_model({}, model);
        std::filesystem::create_directories(sources);
        for (const std::string name : {"stock", "order"}) {
            std::string text;
            for (int i = 0; i < 60; ++i) {
                text += fmt::format("{0}{1} = price{1} + {2}\n", name, i % 7, i);
            }
            write("shop/" + name + ".py", text);
        }
        write("shop/binary.py", std::string("a\0b\n", 4));
    }

    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = scratch.path / name;
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    std::string read(const std::filesystem::path& path) const { return *read_file(path, 1 << 22); }
    Ended build(std::vector<std::string> flags) {
        flags.insert(flags.begin(), {"eval", "build", "--repo", sources, "-m", model, "--tokens-min", "300",
                                     "--tokens-max", "500"});
        return run_lab(flags);
    }
    Ended eval(std::vector<std::string> flags) {
        flags.insert(flags.begin(),
                     {"eval", "run", "--data", data, "-m", model, "-c", "1280", "--out", results});
        return run_lab(flags);
    }
};

std::vector<nlohmann::json> objects(const std::string& lines) {
    std::vector<nlohmann::json> parsed;
    for (size_t begin = 0; begin < lines.size();) {
        const size_t end = std::min(lines.find('\n', begin), lines.size());
        parsed.push_back(nlohmann::json::parse(lines.substr(begin, end - begin)));
        begin = end + 1;
    }
    return parsed;
}

} // namespace

TEST_CASE("samples are built, measured, reported, and not measured twice") {
    EvalPlace place;
    const Ended built = place.build({"-n", "2", "--out", place.data});
    CAPTURE(built.err);
    REQUIRE(built.status == 0);
    CHECK(built.out.empty());
    CHECK(contains(built.err, "2 samples from 2 files"));
    CHECK(contains(built.err, "1 file"));
    CHECK(contains(built.err, "python cross_file_first"));
    const std::string rows = place.read(place.data);
    REQUIRE(objects(rows).size() == 2);
    CHECK(objects(rows)[0]["repo_name"] == "shop");
    CHECK(place.build({"-n", "2"}).out == rows);

    const std::vector<std::string> flags = {"--methods", "pie,reuse", "--edits", "insertion,typing"};
    const Ended first = place.eval(flags);
    CAPTURE(first.err);
    REQUIRE(first.status == 0);
    CHECK(contains(first.out, "## tiny.gguf, python: completed lines"));
    CHECK(contains(first.out, "| method | IF EM/ES | rows | ms |"));
    const std::filesystem::path results = place.results;
    const std::string measured = place.read(results / "results.jsonl");
    const auto lines = objects(measured);
    REQUIRE(lines.size() == 12);
    for (const auto& line : lines) {
        CHECK(line["model"] == "tiny.gguf");
        const bool is_full = line["method"] == "full";
        CHECK((line["tokens_encoded"] == line["tokens_after"]) == is_full);
        CHECK((line["kl"] == 0.0 || !is_full));
    }
    // Not in each row: what an edit changes in so small a model may be less than rounding.
    CHECK(std::ranges::any_of(lines, [](const auto& line) { return line["kl"] > 0.0; }));
    CHECK(place.read(results / "report.md") == first.out);
    CHECK(contains(place.read(results / "report.csv"), "tiny.gguf,python,in_file,typing,reuse,2,0,"));
    CHECK(contains(place.read(results / "layers.csv"), "tiny.gguf,insertion,pie,1,"));

    CHECK(place.eval(flags).out == first.out);
    CHECK(place.read(results / "results.jsonl") == measured);
    CHECK(place.run_lab({"eval", "report", place.results}).out == first.out);
    // Another method is added to what is there; of fewer samples all are there already.
    CHECK(place.eval({"--methods", "cfe", "--edits", "insertion,typing", "-n", "1"}).status == 0);
    CHECK(objects(place.read(results / "results.jsonl")).size() == 14);
}

TEST_CASE("what a model writes is run when that is allowed, and not before") {
    EvalPlace place;
    place.write(
        "samples.jsonl",
        R"({"task_id": "P/1", "entry_point": "f", "prompt": "def f():\n    # a\n    # b\n    # c\n    # d\n    # e\n",)"
        R"( "canonical_solution": "    return 1\n", "test": "def check(f):\n    pass\n"})");
    const std::vector<std::string> flags = {"--methods", "pie", "--edits", "insertion-3"};
    const Ended refused = place.eval(flags);
    CHECK(refused.status == 0);
    CHECK(contains(refused.out, "--run-code"));
    std::vector<std::string> allowed = flags;
    allowed.emplace_back("--run-code");
    const Ended ran = place.eval(allowed);
    CHECK(ran.status == 0);
    // Where the kernel grants no sandbox the rows have failed with that reason instead.
    CHECK((ran.out.find("Tests passed") != std::string::npos ||
           ran.out.find("namespaces") != std::string::npos));
}

TEST_CASE("bad input: a message that says what to do, and the exit status") {
    EvalPlace place;
    const auto expect = [](const Ended& ended, int status, const std::string& message) {
        CAPTURE(ended.err);
        CHECK(ended.status == status);
        CHECK(contains(ended.err, message));
        CHECK(ended.out.empty());
    };
    expect(place.run_lab({"eval"}), 2, "a command is missing");
    expect(place.run_lab({"eval", "run", "--data", place.data}), 2, "--out");
    expect(place.run_lab({"eval", "run", "--out", place.results}), 2, "--data");
    expect(place.eval({}), 1, "samples.jsonl");
    place.write("samples.jsonl", "{\"id\": \"a\"}\n");
    expect(place.eval({}), 1, "samples.jsonl:1");
    place.write("samples.jsonl",
                R"({"id":"a","kind":"k","language":"","before":"x","after":"y","target":"z"})");
    expect(place.eval({"--methods", "magic"}), 2, "pie+seam");
    expect(place.eval({"--edits", "magic"}), 2, "contextual-single-5");
    expect(place.eval({"--methods", "pie+attention:4", "--complete", "0"}), 2, "--complete");
    expect(place.eval({"-c", "100000"}), 2, "-c");
    place.write("results/results.jsonl", "notes\n");
    expect(place.eval({}), 1, "--out");
    expect(place.run_lab({"eval", "report", (place.scratch.path / "none").string()}), 1, "none");
    expect(place.build({"--lang", "magic", "-n", "1"}), 2, "magic");
    expect(place.build({"-n", "0"}), 2, "--samples");
    expect(place.run_lab({"eval", "build", "--repo", place.sources, "-m", place.model, "-n", "1",
                          "--tokens-min", "20", "--tokens-max", "10"}),
           2, "20 tokens at least");
    expect(place.run_lab({"eval", "build", "-n", "1"}), 2, "--repo");
    expect(place.run_lab({"eval", "build", "", "-n", "1", "--repo", place.sources}), 2, "not expected");
    expect(place.run_lab({"eval", "build", "-n", "1", "--repo", place.sources, "--git", place.sources}), 2,
           "--git");
    expect(place.run_lab({"eval", "build", "--repo", place.sources, "-n", "1"}), 1, "pie model pull");
}

} // namespace pie
