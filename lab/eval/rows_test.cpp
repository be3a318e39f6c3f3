#include "base/test_fixtures.h"
#include "eval/rows.h"
#include "model/model.h"
#include "prompt/layout.h"
#include "prompt/test_vocabularies.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pie {
namespace {

const std::string good_line =
    R"({"id": "a", "kind": "k", "language": "", "before": "x", "after": "y", "target": "z"})";

bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

std::string with(std::string line, const std::string& from, const std::string& to) {
    return line.replace(line.find(from), from.size(), to);
}

EvalRow row_of(const std::string& before, const std::string& after, const std::string& target) {
    EvalRow row;
    row.before = before;
    row.after = after;
    row.target = target;
    row.place = "rows.jsonl:7";
    return row;
}

std::unique_ptr<LoadedModel> load_tiny_vocabulary(const ScratchFolder& folder) {
    testing::write_tiny_model({}, folder.path / "tiny.gguf");
    return *LoadedModel::load(folder.path / "tiny.gguf", {.parts = LoadParts::vocabulary});
}

} // namespace

TEST_CASE("a row comes back as it was written") {
    EvalRow row = row_of("a\n\t\"b\" \\ <PRE>é😀", "<SUF>\r\n", "z\n");
    row.id = "typing:x/y.py:3";
    row.kind = "typing";
    row.language = "python";
    const std::string line = row_line(row);
    CHECK(line.find('\n') == std::string::npos);
    const auto back = parse_row(line, "here:1");
    REQUIRE(back.has_value());
    CHECK(back->id == row.id);
    CHECK(back->kind == row.kind);
    CHECK(back->language == row.language);
    CHECK(back->before == row.before);
    CHECK(back->after == row.after);
    CHECK(back->target == row.target);
    CHECK(back->place == "here:1");
}

TEST_CASE("what a row may lack comes back, too") {
    EvalRow row = row_of("a", "b", "c");
    row.id = "keys";
    row.setting = "in_file";
    row.steps = {"a1", "a2"};
    row.test = "check(f)\n";
    const auto back = parse_row(row_line(row), "here:1");
    REQUIRE(back.has_value());
    CHECK(back->setting == row.setting);
    CHECK(back->steps == row.steps);
    CHECK(back->test == row.test);
    CHECK(row_line(row_of("a", "b", "c")).find("steps") == std::string::npos);
    EvalRow fewer = row;
    fewer.steps.pop_back();
    CHECK(row_digest(row) != row_digest(fewer));
}

TEST_CASE("bad rows are refused with their line") {
    const auto expect = [&](const std::string& line, const std::string& message) {
        const auto row = parse_row(line, "rows.jsonl:2");
        REQUIRE(!row.has_value());
        CHECK(row.error().code == ErrorCode::corrupt);
        CHECK(contains(row.error().message, "rows.jsonl:2: "));
        CHECK(contains(row.error().message, message));
    };
    CHECK(parse_row(good_line, "rows.jsonl:2").has_value());
    expect("{\"id\": ", "JSON");
    expect("[1]", "JSON");
    expect("null", "JSON");
    expect(with(good_line, "z", "\xE9"), "JSON");
    for (const std::string field : {"id", "kind", "language", "before", "after", "target"}) {
        expect(with(good_line, "\"" + field + "\"", "\"other\""), "no '" + field + "'");
    }
    expect(with(good_line, "\"y\"", "3"), "'after'");
    expect(with(good_line, "\"z\"", R"("z", "steps": "x")"), "'steps'");
    expect(with(good_line, "\"z\"", R"("z", "steps": [1])"), "'steps'");
    expect(with(good_line, "\"z\"", R"("z", "test": 1)"), "'test'");
}

TEST_CASE("markers become the model's, and the texts between them are tokenised as a prompt's are") {
    const ScratchFolder folder;
    const auto model = load_tiny_vocabulary(folder);
    const Vocabulary& vocabulary = model->vocabulary();
    PromptLayout middle = *PromptLayout::create(vocabulary, LayoutKind::psm);
    PromptLayout plain = *PromptLayout::create(vocabulary, LayoutKind::plain);
    const auto encoded = encode_row(
        row_of("<PRE>def f():\n<SUF>\n    return <1>\n<MID>", "if a <PR E>", "pass\n"), vocabulary);
    REQUIRE(encoded.has_value());
    CHECK(encoded->before == middle.tokens({"def f():\n", "\n    return <1>\n"}));
    CHECK(encoded->after == plain.tokens({"if a <PR E>", ""}));
    CHECK(encoded->target == vocabulary.tokenize("pass\n"));
    // In the target they are text.
    CHECK(encode_row(row_of("a", "b", "<PRE>"), vocabulary)->target == vocabulary.tokenize("<PRE>"));
    // Any order and number.
    const auto turned = encode_row(row_of("<SUF>b<PRE>", "<MID><MID>", "c"), vocabulary);
    REQUIRE(turned.has_value());
    CHECK(turned->before[0] == vocabulary.fim()->suffix);
    CHECK(turned->before.back() == vocabulary.fim()->prefix);
    CHECK(turned->after == std::vector(2, *vocabulary.fim()->middle));
}

TEST_CASE("the token that a model wants at the beginning stands in front") {
    const auto llama = test::load_vocabulary("llama-spm");
    if (!llama) {
        return;
    }
    const Vocabulary& vocabulary = llama->vocabulary();
    REQUIRE(vocabulary.beginning().has_value());
    const auto encoded = encode_row(row_of("", "int a;", "b"), vocabulary);
    REQUIRE(encoded.has_value());
    CHECK(encoded->before == std::vector{*vocabulary.beginning()});
    CHECK(encoded->after.front() == *vocabulary.beginning());
    CHECK(std::ranges::count(encoded->target, *vocabulary.beginning()) == 0);
}

TEST_CASE("rows that a model cannot take are refused with their line") {
    const auto gpt2 = test::load_vocabulary("gpt-2");
    if (!gpt2) {
        return;
    }
    const Vocabulary& vocabulary = gpt2->vocabulary();
    REQUIRE(!vocabulary.fim().has_value());
    const auto expect = [&](const EvalRow& row, ErrorCode code, const std::string& message) {
        const auto encoded = encode_row(row, vocabulary);
        REQUIRE(!encoded.has_value());
        CHECK(encoded.error().code == code);
        CHECK(contains(encoded.error().message, "rows.jsonl:7"));
        CHECK(contains(encoded.error().message, message));
    };
    expect(row_of("a", "b<SUF>c", "d"), ErrorCode::unsupported, "<SUF>");
    expect(row_of("", "b", "d"), ErrorCode::corrupt, "'before'");
    expect(row_of("a", "b", ""), ErrorCode::corrupt, "'target'");
}

TEST_CASE("the digest is of the texts, and of where one ends and the next begins") {
    const std::string digest = row_digest(row_of("a", "b", "c"));
    CHECK(digest.size() == 16);
    CHECK(digest == row_digest(row_of("a", "b", "c")));
    CHECK(digest != row_digest(row_of("ab", "", "c")));
    CHECK(digest != row_digest(row_of("a", "b", "d")));
    EvalRow other_id = row_of("a", "b", "c");
    other_id.id = "other";
    CHECK(digest == row_digest(other_id));
}

} // namespace pie
