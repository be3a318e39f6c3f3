#include "model/model.h"
#include "prompt/layout.h"
#include "prompt/test_vocabularies.h"
#include "support/tiny_model.h"

#include <map>
#include <string>

using pie::ErrorCode;
using pie::LayoutKind;
using pie::PromptLayout;
using pie::TokenId;
using pie::Vocabulary;
using pie::test::load_vocabulary;
using pie::test::RandomText;

namespace {

void append(std::vector<TokenId>& tokens, const std::vector<TokenId>& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
}

// By the token's name in the vocabulary, so that the test does not ask the code under test.
TokenId token_named(const Vocabulary& vocabulary, std::string_view name) {
    for (int32_t token = 0; token < vocabulary.size(); ++token) {
        if (llama_vocab_get_text(vocabulary.get(), token) == name) {
            return TokenId(token);
        }
    }
    FAIL("no such token");
    return {};
}

} // namespace

TEST_CASE("psm: markers around the parts, no beginning where the model wants none") {
    const auto model = load_vocabulary("starcoder");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    CHECK(pie::default_layout(vocabulary) == LayoutKind::psm_line);
    auto layout = PromptLayout::create(vocabulary, LayoutKind::psm);
    REQUIRE(layout);
    std::vector<TokenId> wanted = {token_named(vocabulary, "<fim_prefix>")};
    append(wanted, vocabulary.tokenize("int x = "));
    wanted.push_back(token_named(vocabulary, "<fim_suffix>"));
    append(wanted, vocabulary.tokenize(";\nint y;\n"));
    wanted.push_back(token_named(vocabulary, "<fim_middle>"));
    CHECK(layout->tokens({.prefix = "int x = ", .suffix = ";\nint y;\n"}) == wanted);
    CHECK(layout->tokens({.prefix = "", .suffix = ""}).size() == 3);
    CHECK(layout->marker_count() == 3);
}

TEST_CASE("psm: the beginning of the sequence stands before the first marker") {
    const auto model = load_vocabulary("deepseek-coder");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    auto layout = PromptLayout::create(vocabulary, LayoutKind::psm);
    REQUIRE(layout);
    const auto tokens = layout->tokens({.prefix = "a", .suffix = "b"});
    REQUIRE(tokens.size() == 6);
    CHECK(layout->marker_count() == 4);
    CHECK(tokens[0] == token_named(vocabulary, "<｜begin▁of▁sentence｜>"));
    CHECK(tokens[1] == token_named(vocabulary, "<｜fim▁begin｜>"));
    CHECK(tokens[3] == token_named(vocabulary, "<｜fim▁hole｜>"));
    CHECK(tokens[5] == token_named(vocabulary, "<｜fim▁end｜>"));
}

TEST_CASE("the suffix first, and no marker in the middle, where a model was trained so") {
    const pie::testing::TemporaryFolder folder;
    const auto tokens_with = [&](const std::map<std::string, std::string>& names, LayoutKind kind) {
        const auto path = folder.path() / "tiny.gguf";
        pie::testing::write_tiny_model(
            {.spoil = [&](gguf_context* gguf) { pie::testing::rename_tokens(gguf, names); }}, path);
        const auto model = pie::LoadedModel::load(path, {.parts = pie::LoadParts::vocabulary});
        REQUIRE(model.has_value());
        auto layout = PromptLayout::create((*model)->vocabulary(), kind);
        REQUIRE(layout.has_value());
        const auto tokens = layout->tokens({.prefix = "a\nb", .suffix = "c"});
        std::string text;
        for (const TokenId token : tokens) {
            text += (*model)->vocabulary().is_control(token) ? (*model)->vocabulary().name(token)
                                                             : (*model)->vocabulary().piece(token);
        }
        CHECK(layout->marker_count() + 4 == tokens.size());
        CHECK(layout->prefix_token_count() == 3);
        return text;
    };
    const std::map<std::string, std::string> seed_coder = {{"<fim_prefix>", "<[fim-prefix]>"},
                                                           {"<fim_suffix>", "<[fim-suffix]>"},
                                                           {"<fim_middle>", "<[fim-middle]>"}};
    CHECK(tokens_with(seed_coder, LayoutKind::psm) == "<[fim-suffix]>c<[fim-prefix]>a\nb<[fim-middle]>");
    CHECK(tokens_with(seed_coder, LayoutKind::psm_line) == "<[fim-suffix]>c<[fim-prefix]>a\n<[fim-middle]>b");
    const std::map<std::string, std::string> codestral = {{"<fim_prefix>", "[PREFIX]"},
                                                          {"<fim_suffix>", "[SUFFIX]"}};
    CHECK(tokens_with(codestral, LayoutKind::psm) == "[SUFFIX]c[PREFIX]a\nb");
    CHECK(tokens_with(codestral, LayoutKind::psm_line) == "[SUFFIX]c[PREFIX]a\nb");
}

TEST_CASE("a model without markers is continued left to right") {
    const auto model = load_vocabulary("qwen2");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    CHECK(pie::default_layout(vocabulary) == LayoutKind::plain);
    const auto refused = PromptLayout::create(vocabulary, LayoutKind::psm);
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::unsupported);
    auto layout = PromptLayout::create(vocabulary, LayoutKind::plain);
    REQUIRE(layout);
    CHECK(layout->tokens({.prefix = "int x = 1;\n", .suffix = "unused"}) ==
          vocabulary.tokenize("int x = 1;\n"));
    CHECK(layout->marker_count() == 0);
}

TEST_CASE("plain: the beginning of the sequence comes first where the model wants it") {
    const auto model = load_vocabulary("llama-spm");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    auto layout = PromptLayout::create(vocabulary, LayoutKind::plain);
    REQUIRE(layout);
    std::vector<TokenId> wanted = {token_named(vocabulary, "<s>")};
    append(wanted, vocabulary.tokenize("def f():\n    return"));
    CHECK(layout->tokens({.prefix = "def f():\n    return", .suffix = ""}) == wanted);
    CHECK(layout->marker_count() == 1);
}

TEST_CASE("psm_line: the cursor's line stands behind the last marker, and typing on it is an append") {
    const auto model = load_vocabulary("starcoder");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    auto layout = PromptLayout::create(vocabulary, LayoutKind::psm_line);
    REQUIRE(layout);
    std::vector<TokenId> wanted = {token_named(vocabulary, "<fim_prefix>")};
    append(wanted, vocabulary.tokenize("int x;\n"));
    wanted.push_back(token_named(vocabulary, "<fim_suffix>"));
    append(wanted, vocabulary.tokenize(";\nint y;\n"));
    wanted.push_back(token_named(vocabulary, "<fim_middle>"));
    const std::string suffix = ";\nint y;\n";
    CHECK(layout->tokens({.prefix = "int x;\n", .suffix = suffix}) == wanted);
    CHECK(layout->prefix_token_count() == vocabulary.tokenize("int x;\n").size());
    append(wanted, vocabulary.tokenize("    retu"));
    CHECK(layout->tokens({.prefix = "int x;\n    retu", .suffix = suffix}) == wanted);
    CHECK(layout->prefix_token_count() ==
          vocabulary.tokenize("int x;\n").size() + vocabulary.tokenize("    retu").size());

    // A text of one line has no line before it.
    const auto single = layout->tokens({.prefix = "retu", .suffix = ""});
    CHECK(single.size() == 3 + vocabulary.tokenize("retu").size());
    CHECK(single[1] == token_named(vocabulary, "<fim_suffix>"));
}

TEST_CASE("markers in the text stay text, and cursor moves and edits give what a new layout gives") {
    const auto model = load_vocabulary("refact");
    if (model == nullptr) {
        return;
    }
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    RandomText random(seed);
    const Vocabulary& vocabulary = model->vocabulary();
    auto layout = PromptLayout::create(vocabulary, LayoutKind::psm);
    REQUIRE(layout);
    std::string text = random.of_size(1500) + "<fim_prefix>" + random.of_size(300);
    for (int round = 0; round < 150; ++round) {
        text.insert(random.place(text), random.fragment());
        const size_t cursor = random.place(text);
        const std::string prefix = text.substr(0, cursor);
        const std::string suffix = text.substr(cursor);
        std::vector<TokenId> wanted = {token_named(vocabulary, "<fim_prefix>")};
        append(wanted, vocabulary.tokenize(prefix));
        wanted.push_back(token_named(vocabulary, "<fim_suffix>"));
        append(wanted, vocabulary.tokenize(suffix));
        wanted.push_back(token_named(vocabulary, "<fim_middle>"));
        CAPTURE(text);
        CAPTURE(cursor);
        REQUIRE(layout->tokens({.prefix = prefix, .suffix = suffix}) == wanted);
        REQUIRE(layout->prefix_token_count() == vocabulary.tokenize(prefix).size());
    }
}
