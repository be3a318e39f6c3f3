#include "base/test_fixtures.h"
#include "eval/dataset.h"
#include "eval/source_tree.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

namespace pie {
namespace {

const TokenCounter counter = [](std::string_view text) { return text.size() / 4; };
const PromptLimit limit{10'000, counter};

const std::string plain_row =
    R"({"id": "plain", "kind": "made", "language": "", "before": "x", "after": "y", "target": "z"})";

std::string problem(int number) {
    return R"({"task_id": "P/)" + std::to_string(number) +
           R"(", "prompt": "def f(a, b):\n    \"\"\"Adds.\n    >>> f(1, 2)\n    3\n    >>> f(2, 2)\n    4\n    \"\"\"\n",)"
           R"( "entry_point": "f", "canonical_solution": "    return a + b\n",)"
           R"( "test": "def check(f):\n    assert f(1, 2) == 3\n"})";
}

std::string repobench_row(int number) {
    std::string code;
    for (int i = 0; i < 30; ++i) {
        code += "value_" + std::to_string(number) + " = call(" + std::to_string(i) + ")\\n";
    }
    return R"({"repo_name": "r", "file_path": "a.py", "context": [], "import_statement": "import os",)"
           R"( "cropped_code": ")" +
           code + R"(", "next_line": "return )" + std::to_string(number) + "\"}";
}

struct Folder {
    ScratchFolder scratch;

    std::filesystem::path write(const std::string& name, const std::vector<std::string>& lines) const {
        std::filesystem::path path = scratch.path / name;
        std::ofstream file(path, std::ios::binary);
        for (const std::string& line : lines) {
            file << line << "\n";
        }
        return path;
    }
};

std::vector<std::string> ids(const Dataset& data) {
    std::vector<std::string> found;
    std::ranges::transform(data.rows, std::back_inserter(found), &EvalRow::id);
    return found;
}

} // namespace

TEST_CASE("rows of all kinds are told apart by their fields, and samples are edited") {
    const Folder folder;
    const auto data = read_dataset({.files = {folder.write("plain.jsonl", {plain_row, "", " \r"}),
                                              folder.write("python_in_file.jsonl", {repobench_row(1)}),
                                              folder.write("problems.jsonl", {problem(1)})},
                                    .edits = {"insertion", "insertion-3"}},
                                   limit);
    REQUIRE(data.has_value());
    CHECK(ids(*data) == std::vector<std::string>{"plain", "python_in_file:1:insertion",
                                                 "python_in_file:1:insertion-3", "P/1:insertion-3"});
    CHECK(data->left_out.size() == 1); // the problem has too few lines for five to be missing
    CHECK(data->left_out.front().starts_with("P/1: 'insertion'"));
    const EvalRow& line = data->rows[1];
    CHECK(line.kind == "insertion");
    CHECK(line.setting == "in_file");
    CHECK(line.language == "python");
    CHECK(line.target == "return 1\n");
    CHECK(line.after.starts_with("# Repo Name: r\n# Path: a.py\nimport os\nvalue_1"));
    const EvalRow& tested = data->rows[3];
    CHECK(tested.setting == "problem");
    CHECK(tested.test == "\ndef check(f):\n    assert f(1, 2) == 3\n\ncheck(f)\n");
    CHECK(std::ranges::count(tested.after, '\n') == std::ranges::count(tested.before, '\n') + 3);
}

TEST_CASE("a file that is packed is the same data") {
    const Folder folder;
    const std::filesystem::path path = folder.scratch.path / "rows.jsonl.gz";
    gzFile file = gzopen(path.c_str(), "wb");
    REQUIRE(gzwrite(file, repobench_row(1).data(), static_cast<unsigned>(repobench_row(1).size())) > 0);
    REQUIRE(gzclose(file) == Z_OK);
    const auto data = read_dataset({.files = {path}, .edits = {"deletion"}}, limit);
    REQUIRE(data.has_value());
    CHECK(ids(*data) == std::vector<std::string>{"rows:1:deletion"});
}

TEST_CASE("samples are drawn by the seed, groups in turn, and an edit does not depend on the others") {
    const Folder folder;
    std::vector<std::string> lines;
    for (int i = 0; i < 20; ++i) {
        lines.push_back(repobench_row(i));
    }
    const DatasetOptions options{
        .files = {folder.write("in_file.jsonl", lines), folder.write("cross_file_first.jsonl", lines)},
        .edits = {"insertion"},
        .n_samples = 5,
        .seed = 3};
    const auto data = read_dataset(options, limit);
    REQUIRE(data.has_value());
    REQUIRE(data->rows.size() == 10);
    for (size_t i = 0; i < 10; ++i) {
        CHECK(data->rows[i].setting == (i % 2 == 0 ? "in_file" : "cross_file_first"));
    }
    CHECK(ids(*data) == ids(*read_dataset(options, limit)));
    DatasetOptions other = options;
    other.seed = 4;
    CHECK(ids(*data) != ids(*read_dataset(other, limit)));
    other = options;
    other.edits = {"deletion", "insertion"};
    const auto more = read_dataset(other, limit);
    REQUIRE(more->rows.size() == 20);
    CHECK(row_digest(more->rows[1]) == row_digest(data->rows[0]));
    CHECK(more->rows[0].after == more->rows[1].after); // so that its recompute is shared
    // Fewer samples are some of the same, with the same edits.
    DatasetOptions fewer = other;
    fewer.n_samples = 2;
    const auto some = read_dataset(fewer, limit);
    REQUIRE(some->rows.size() == 8);
    for (size_t i = 0; i < 8; ++i) {
        CHECK(row_digest(some->rows[i]) == row_digest(more->rows[i]));
    }
}

TEST_CASE("bad data is refused with its place") {
    const Folder folder;
    const auto expect = [&](const std::vector<std::string>& lines, const std::string& message,
                            const std::vector<std::string>& edits = {"insertion"}) {
        const auto data = read_dataset({.files = {folder.write("data.jsonl", lines)}, .edits = edits}, limit);
        REQUIRE(!data.has_value());
        CAPTURE(data.error().message);
        CHECK(data.error().message.find(message) != std::string::npos);
    };
    expect({plain_row, "{"}, "data.jsonl:2");
    expect({plain_row, plain_row}, "data.jsonl:2: the id 'plain' stands at");
    expect({R"({"import_statement": "", "next_line": ""})"}, "data.jsonl:1: the row's 'context'");
    expect({R"({"task_id": "", "entry_point": ""})"}, "data.jsonl:1: the row has no 'prompt'");
    expect({plain_row}, "contextual-single-5", {"magic"});
    expect({""}, "pie-lab eval build");
    std::string marked = repobench_row(1);
    marked.replace(marked.find("import os"), 9, "x = '<SUF>'");
    expect({marked}, "no row and no sample");
    CHECK(read_dataset({.files = {folder.scratch.path / "none"}, .edits = {}}, limit).error().code ==
          ErrorCode::not_found);
}

} // namespace pie
