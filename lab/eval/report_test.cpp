// The tables of a small folder of results, against cells worked out by hand.

#include "base/files.h"
#include "base/test_fixtures.h"
#include "eval/report.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace pie {
namespace {

Measurement made(const std::string& row, const std::string& kind, const std::string& method, double match) {
    Measurement m;
    m.key = {.model = "tiny", .row = kind + ":" + row, .digest = "", .method = method};
    m.kind = kind;
    m.language = "python";
    m.setting = row == "3" ? "in_file" : "cross_file_first";
    m.line_match = match;
    m.edit_similarity = 60 + 40 * match;
    m.kl = method == "full" ? 0 : 0.25;
    m.tokens_after = 100;
    m.tokens_encoded = 20;
    m.flops = 3e9;
    m.milliseconds = 8;
    m.key_cosines = {1, 0.5};
    m.value_cosines = {1, 0.25};
    return m;
}

std::vector<Measurement> sample() {
    std::vector<Measurement> all = {made("1", "insertion", "full", 1),
                                    made("2", "insertion", "full", 0),
                                    made("3", "insertion", "full", 1),
                                    made("1", "insertion", "pie", 0),
                                    made("2", "insertion", "pie", 0),
                                    made("3", "insertion", "pie", 1),
                                    made("1", "contextual-single-5", "full", 1),
                                    made("1", "contextual-single-5", "pie", 0)};
    all.push_back(made("5", "insertion", "pie", 0));
    all.back().failure = "too long";
    return all;
}

bool contains(const std::string& text, const std::string& part) {
    CAPTURE(text);
    return text.find(part) != std::string::npos;
}

std::string lines_of(const std::vector<Measurement>& measurements) {
    std::string text;
    for (const Measurement& m : measurements) {
        text += measurement_line(m) + "\n";
    }
    return text;
}

void write_gzip(const std::filesystem::path& path, const std::string& text) {
    gzFile file = gzopen(path.c_str(), "wb");
    REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) == static_cast<int>(text.size()));
    REQUIRE(gzclose(file) == Z_OK);
}

} // namespace

TEST_CASE("tables have the paper's layout: settings across, and the contextual cases with methods across") {
    const std::string text = report_markdown(make_report(sample()));
    CHECK(contains(text, "## tiny, python: completed lines"));
    CHECK(contains(text, "| method | XF-F EM/ES | rows | ms | IF EM/ES | rows | ms |"));
    CHECK(contains(text, "| full | 50.00/80.00 | 2 | 8 | 100.00/100.00 | 1 | 8 |"));
    CHECK(contains(text, "| pie | 0.00/60.00 | 2 | 8 | 100.00/100.00 | 1 | 8 |"));
    CHECK(contains(text, "| case | setting | rows | full | pie |"));
    CHECK(contains(text, "| contextual-single-5 | XF-F | 1 | 100.00/100.00 | 0.00/60.00 |"));
    CHECK(contains(text, "### insertion, 100 tokens a prompt"));
    CHECK(contains(text, "| pie | 3, 1 failed | 0.2500 [0.2500, 0.2500] |"));
    CHECK(contains(text, "| 20 | 3.0 | 8.0 |"));
    CHECK(contains(text, "| 1 | too long |"));
    CHECK(!contains(text, "Tests passed"));
    std::vector<Measurement> tested = sample();
    tested.front().passed = true;
    CHECK(contains(report_markdown(make_report(tested)), "| insertion | full | 1 | 100.0 [100.0, 100.0] |"));
}

TEST_CASE("where PIE still loses: kinds of edits, and the worst rows as text") {
    std::vector<Measurement> all = sample();
    all[0].edit = " kept\n+added\n";
    all[0].prediction = "x = 1";
    all[3].prediction = "```";
    all[3].target = "x = 1";
    const std::string text = report_markdown(make_report(all));
    CHECK(contains(text, "### Where pie still loses\n| edit | rows | lost to full | won | KL a token |"));
    CHECK(contains(text, "\n| insertion | 3 | 1 | 0 | 0.2500 |\n"));
    CHECK(contains(text, "\n**insertion**, insertion:1, KL 0.2500 a token."));
    CHECK(contains(text, "\n~~~~diff\n kept\n+added\n~~~~\n"
                         "~~~~text\nexpected  x = 1\nfull      x = 1\npie       ```\n~~~~\n"));
    CHECK(contains(text, "\n**contextual-single-5**, "));
}

TEST_CASE("for programs: a line a setting and method, and one a layer") {
    const std::string csv = report_csv(make_report(sample()));
    CHECK(contains(
        csv,
        "model,language,setting,edit,method,rows,failed,tested,tokens,edits,tokens_encoded,flops,ms,kl,"));
    CHECK(contains(
        csv, "\ntiny,python,cross_file_first,insertion,pie,2,1,0,100,1,20,3000000000,8,0.25,0.25,0.25,"));
    CHECK(std::count(csv.begin(), csv.end(), '\n') == 7);
    std::vector<Measurement> quoted = {made("1", "a,\"b\"", "full", 1)};
    CHECK(contains(report_csv(make_report(quoted)), "\"a,\"\"b\"\"\""));
    const std::string layers = layers_csv(make_report(sample()));
    CHECK(contains(layers, "\ntiny,insertion,pie,1,0.5,0.25\n"));
    CHECK(std::count(layers.begin(), layers.end(), '\n') == 9);
}

TEST_CASE("a folder's files are read together, packed or not, and the later of two counts unless it failed") {
    const ScratchFolder folder;
    Measurement failed = made("1", "insertion", "full", 0);
    failed.failure = "too long";
    write_gzip(folder.path / "a.jsonl.gz", lines_of(sample()));
    std::ofstream(folder.path / "b.jsonl") << lines_of({failed, made("2", "insertion", "full", 1)});
    std::ofstream(folder.path / "notes.txt") << "notes";
    const auto read = read_measurements(folder.path);
    REQUIRE(read.has_value());
    CHECK(read->size() == sample().size());
    CHECK(!read->at(0).failed());
    CHECK(read->at(1).line_match == 1);
    const std::string packed = *read_file(folder.path / "a.jsonl.gz", 1 << 20);
    std::ofstream(folder.path / "a.jsonl.gz", std::ios::binary) << packed.substr(0, packed.size() / 2);
    CHECK(read_measurements(folder.path).error().code == ErrorCode::corrupt);
    CHECK(read_measurements(folder.path / "none").error().code == ErrorCode::not_found);
    const ScratchFolder empty;
    CHECK(read_measurements(empty.path).error().code == ErrorCode::not_found);
}

} // namespace pie
