#include "model/model.h"
#include "prompt/blanks.h"
#include "prompt/inner_text.h"
#include "prompt/layout.h"
#include "prompt/repository_context.h"
#include "prompt/test_vocabularies.h"
#include "prompt/tokenized_text.h"
#include "support/tiny_model.h"

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

// CodeLlama's in small.
struct SentencePieceModel {
    explicit SentencePieceModel(bool adds_space = true) {
        const testing::TemporaryFolder folder;
        const testing::TinyModel description{
            .n_layer = 1,
            .n_embd = 32,
            .vocabulary = testing::TinyVocabulary::sentence_piece,
            .spoil =
                [adds_space](gguf_context* gguf) {
                    gguf_set_val_bool(gguf, "tokenizer.ggml.add_space_prefix", adds_space);
                },
        };
        const auto path = folder.path() / "model.gguf";
        write_tiny_model(description, path);
        auto loaded = LoadedModel::load(path, {.parts = LoadParts::vocabulary});
        REQUIRE_MESSAGE(loaded, loaded.error().message);
        model = std::move(*loaded);
    }

    const Vocabulary& vocabulary() const { return model->vocabulary(); }
    // Side by side, with blanks between them.
    std::string names(const std::vector<TokenId>& tokens) const {
        std::string result;
        for (const TokenId token : tokens) {
            result += (result.empty() ? "" : " ") + vocabulary().name(token);
        }
        return result;
    }
    std::string text(const std::vector<TokenId>& tokens) const {
        std::string result;
        for (const TokenId token : tokens) {
            result += vocabulary().piece(token);
        }
        return result;
    }

    std::unique_ptr<LoadedModel> model;
};

} // namespace

TEST_CASE("inside of a prompt SentencePiece puts no space in front of a text") {
    const SentencePieceModel model;
    const Vocabulary& vocabulary = model.vocabulary();
    CHECK(model.names(vocabulary.tokenize("return")) == "▁return");
    CHECK(model.names(tokenize_inside(vocabulary, "return")) == "return");
    CHECK(model.names(vocabulary.tokenize("    return")) == "▁▁▁▁ ▁return");
    CHECK(model.names(tokenize_inside(vocabulary, "    return")) == "▁▁▁▁ return");
    CHECK(model.names(tokenize_inside(vocabulary, " x")) == "▁x");
    CHECK(model.names(tokenize_inside(vocabulary, "\n}")) == "<0x0A> }");
    CHECK(tokenize_inside(vocabulary, "").empty());
    // What is put in front, and texts in which it stands itself.
    for (const std::string text : {"\u263A", "\u263A\u263A x", "\x01", "  \u263A", "\u2581", "\u0301"}) {
        CAPTURE(text);
        CHECK(model.text(tokenize_inside(vocabulary, text)) == (text == "\u2581" ? " " : text));
    }
}

TEST_CASE("a vocabulary whose file says that no space is added has one way to take a text") {
    const SentencePieceModel model(false);
    for (const std::string text : {"return", "    return", " x", "\n}", "\u263A"}) {
        CAPTURE(text);
        CHECK(tokenize_inside(model.vocabulary(), text) == model.vocabulary().tokenize(text));
        CHECK(model.text(model.vocabulary().tokenize(text)) == text);
    }
}

TEST_CASE("inside of a prompt texts have the tokens of a tokeniser that adds no space, kept up to date too") {
    llama_model_kv_override overrides[2] = {};
    overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_BOOL;
    std::strcpy(overrides[0].key, "tokenizer.ggml.add_space_prefix");
    overrides[0].val_bool = false;
    const auto adding = test::load_vocabulary("llama-spm");
    const auto plain = test::load_vocabulary("llama-spm", overrides);
    if (adding == nullptr || plain == nullptr) {
        return;
    }
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    test::RandomText random(seed);
    TokenizedText kept(std::make_shared<const CutRule>(adding->vocabulary()), TokenizedText::Place::inside);
    for (int round = 0; round < 200; ++round) {
        const std::string text = random.of_size(1 + random.below(1000));
        CAPTURE(text);
        const std::vector<TokenId> wanted = plain->vocabulary().tokenize(text);
        REQUIRE(tokenize_inside(adding->vocabulary(), text) == wanted);
        REQUIRE(kept.update(text) == wanted);
    }
}

TEST_CASE("CodeLlama's prompts are its own encoder's: a space before the prefix, none behind other markers") {
    const SentencePieceModel model;
    auto layout = PromptLayout::create(model.vocabulary(), LayoutKind::psm);
    REQUIRE(layout);
    CHECK(model.names(layout->tokens({.prefix = "int x;\n    re", .suffix = "  x;\n}"})) ==
          "<s> ▁<PRE> ▁int ▁x ; <0x0A> ▁▁▁▁ re ▁<SUF> ▁▁ x ; <0x0A> } ▁<MID>");
    // The indentation of four of the cursor's line stays one.
    layout = PromptLayout::create(model.vocabulary(), LayoutKind::psm_line);
    REQUIRE(layout);
    CHECK(model.names(layout->tokens({.prefix = "int x;\n    re", .suffix = "x;\n}"})) ==
          "<s> ▁<PRE> ▁int ▁x ; <0x0A> ▁<SUF> x ; <0x0A> } ▁<MID> ▁▁▁▁ re");
    CHECK(model.names(layout->tokens({.prefix = "    ", .suffix = "    "})) ==
          "<s> ▁<PRE> ▁<SUF> ▁▁▁▁ ▁<MID> ▁▁▁▁");
}

TEST_CASE("without a marker before it the cursor's line is tokenised with the prefix") {
    const testing::TemporaryFolder folder;
    const testing::TinyModel description{
        .n_layer = 1,
        .n_embd = 32,
        .vocabulary = testing::TinyVocabulary::sentence_piece,
        .spoil =
            [](gguf_context* gguf) {
                testing::rename_tokens(gguf, {{"▁<PRE>", "[PREFIX]"}, {"▁<SUF>", "[SUFFIX]"}});
            },
    };
    const auto path = folder.path() / "codestral.gguf";
    write_tiny_model(description, path);
    const auto model = LoadedModel::load(path, {.parts = LoadParts::vocabulary});
    REQUIRE_MESSAGE(model, model.error().message);
    auto layout = PromptLayout::create((*model)->vocabulary(), LayoutKind::psm_line);
    REQUIRE(layout);
    const auto of = [&](const char* name) {
        return std::string("[PREFIX]") == name ? (*model)->vocabulary().fim()->prefix
                                               : (*model)->vocabulary().fim()->suffix;
    };
    for (const std::string prefix : {"re", "    re", "int x;\n    re"}) {
        CAPTURE(prefix);
        std::vector<TokenId> wanted = {*(*model)->vocabulary().beginning(), of("[SUFFIX]")};
        const auto suffix = tokenize_inside((*model)->vocabulary(), "  x;");
        wanted.insert(wanted.end(), suffix.begin(), suffix.end());
        wanted.push_back(of("[PREFIX]"));
        const auto text = (*model)->vocabulary().tokenize(prefix);
        wanted.insert(wanted.end(), text.begin(), text.end());
        CHECK(layout->tokens({.prefix = prefix, .suffix = "  x;"}) == wanted);
        CHECK(layout->prefix_token_count() == text.size());
    }
}

TEST_CASE("chunks of other files keep their indentation") {
    const SentencePieceModel model;
    RepositoryContext context(model.vocabulary(), LayoutKind::psm_line, 1000);
    context.set({.chunks = {{.file_name = "a.c", .text = "    return x;\n"}, {.text = "int x;\n"}}});
    CHECK(model.text(context.tokens()) ==
          "\n\n--- snippet ---\n\n    return x;\n\n\n--- snippet ---\n\nint x;\n");
}

TEST_CASE("of SentencePiece's blanks too those are told that stand before a word") {
    const auto model = test::load_vocabulary("llama-spm");
    if (model == nullptr) {
        return;
    }
    const auto blanks = blanks_before_word(model->vocabulary(), "    ");
    REQUIRE(blanks);
    CHECK(model->vocabulary().piece(*blanks) == "   ");
}

} // namespace pie
