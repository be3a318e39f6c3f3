// Drives `pie eval build` and `pie eval` on a tiny random model.

#include "cli/program_fixture.h"
#include "support/tiny_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace pie {
namespace {

// A folder with a model and a small tree of sources.
struct EvalPlace : Program {
    std::string model = (scratch.path / "tiny.gguf").string();
    std::string sources = (scratch.path / "src").string();
    std::string rows = (scratch.path / "rows.jsonl").string();
    std::string results = (scratch.path / "results.jsonl").string();

    EvalPlace() {
        testing::write_tiny_model({}, model);
        std::filesystem::create_directories(sources);
        for (const std::string name : {"stock", "order"}) {
            std::string text;
            for (int i = 0; i < 60; ++i) {
                text += fmt::format("{0}{1} = price{1} + {2}\n", name, i % 7, i);
            }
            write("src/" + name + ".py", text);
        }
        write("src/binary.py", std::string("a\0b\n", 4));
    }

    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = scratch.path / name;
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    Ended build(std::vector<std::string> flags) {
        flags.insert(flags.begin(), {"eval", "build", "--from", sources, "-m", model, "--tokens-min", "300",
                                     "--tokens-max", "500"});
        return run(flags);
    }
    Ended eval(std::vector<std::string> flags) {
        flags.insert(flags.begin(), {"eval", rows, "-m", model, "-c", "1024"});
        return run(flags);
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

TEST_CASE("rows are built, measured, reported, and not measured twice") {
    EvalPlace place;
    const Ended built = place.build({"--kind", "insertion,typing", "--rows", "2", "--out", place.rows});
    CAPTURE(built.err);
    REQUIRE(built.status == 0);
    CHECK(built.out.empty());
    CHECK(contains(built.err, "4 rows from 2 files"));
    CHECK(contains(built.err, "1 file"));
    const std::string row_lines = *read_file(place.rows, 1 << 20);
    CHECK(objects(row_lines).size() == 4);
    CHECK(place.build({"--kind", "insertion,typing", "--rows", "2"}).out == row_lines);

    const Ended first = place.eval({"--methods", "pie,reuse", "--out", place.results, "--json"});
    CAPTURE(first.err);
    REQUIRE(first.status == 0);
    const auto summaries = objects(first.out);
    REQUIRE(summaries.size() == 6);
    for (const auto& summary : summaries) {
        CHECK(summary["rows"] == 2);
        CHECK(summary["model"] == "tiny.gguf");
        const double kl = summary["kl"]["mean"];
        CHECK((kl == 0) == (summary["method"] == "full"));
    }
    const std::string measured = *read_file(place.results, 1 << 20);
    CHECK(objects(measured).size() == 12);

    // The model is not even needed any more.
    std::filesystem::remove(place.model);
    const Ended again = place.eval({"--methods", "pie,reuse", "--out", place.results, "--json"});
    CHECK(again.status == 0);
    CHECK(again.out == first.out);
    CHECK(*read_file(place.results, 1 << 20) == measured);
    const Ended table = place.eval({"--methods", "reuse,pie", "--out", place.results});
    CHECK(table.status == 0);
    CHECK(contains(table.out, "typing"));
    CHECK(contains(table.out, "reuse"));
}

TEST_CASE("bad input: a message that says what to do, and the exit status") {
    EvalPlace place;
    const auto expect = [](const Ended& ended, int status, const std::string& message) {
        CAPTURE(ended.err);
        CHECK(ended.status == status);
        CHECK(contains(ended.err, message));
        CHECK(ended.out.empty());
    };
    expect(place.run({"eval"}), 2, "row_file");
    expect(place.eval({}), 1, "rows.jsonl");
    place.write("rows.jsonl", "{\"id\": \"a\"}\n");
    expect(place.eval({}), 1, "rows.jsonl:1");
    place.write("rows.jsonl", R"({"id":"a","kind":"k","language":"","before":"x","after":"y","target":"z"})");
    expect(place.eval({"--methods", "magic"}), 2, "pie+seam");
    expect(place.eval({"--methods", "pie+attention:4"}), 2, "--complete");
    expect(place.eval({"-c", "100000"}), 2, "-c");
    expect(place.eval({"--out", place.write("notes", "notes\n")}), 1, "--out");
    expect(place.build({"--kind", "magic", "--rows", "1"}), 2, "contextual-single-5");
    expect(place.build({"--rows", "0"}), 2, "--rows");
    expect(place.run({"eval", "build", "--from", place.sources, "-m", place.model, "--rows", "1",
                      "--tokens-min", "20", "--tokens-max", "10"}),
           2, "20 tokens at least");
    expect(place.run({"eval", "build", "--rows", "1"}), 2, "--from");
    expect(place.run({"eval", "build", "--from", place.sources, "--rows", "1"}), 1, "pie model pull");
}

} // namespace pie
