// Texts that one expression of a pre-tokenizer matches as a whole. std::regex, by which libllama splits the
// text of many vocabularies, recurses once a character, and such a text overflowed the stack; and some
// expressions take time that grows with a run's square.
//
// PIE_LONG_RUN_BYTES, in the environment, is the length of the runs for every name; by itself the test takes
// long ones for one name of each expression, and short ones for the others.

#include "base/test_fixtures.h"
#include "model/model.h"
#include "prompt/inner_text.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>
#include <gguf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

// More than the stack holds where one expression matches it all.
constexpr unsigned long_run_bytes = 60'000;
// More than is tokenised at once.
constexpr unsigned short_run_bytes = 5'000;

// Every name that libllama knows but "whitespace". Those of a row have the same expressions.
const std::vector<std::vector<const char*>> pre_tokenizers = {
    {"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
     "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais", "trillion",
     "granite-docling"},
    {"default"},
    {"minicpm5"},
    {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
     "dbrx", "smaug-bpe", "chatglm-bpe", "glm4", "glm5"},
    {"deepseek-llm"},
    {"deepseek-coder"},
    {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
    {"spark2_5"},
    {"youtu"},
    {"falcon"},
    {"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
    {"jais-2"},
    {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
     "grok-2"},
    {"qwen35"},
    {"bloom", "poro-chat", "gpt3-finnish"},
    {"viking"},
    {"tekken"},
    {"chameleon"},
    {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
    {"granite-embed-multi-97m"},
    {"tiny_aya", "cohere2moe"},
    {"kimi-k2"},
    {"superbpe"},
    {"bailingmoe", "bailingmoe2", "llada-moe"},
    {"seed-coder"},
    {"ufakzeka"},
    {"afmoe"},
    {"laguna"},
    {"exaone-moe"},
    {"gemma4", "granite-embed-multi-311m", "sarvam-moe"},
};

// These take text as it is, not in GPT-2's alphabet of bytes.
bool writes_blanks_as_sentence_piece(std::string_view name) {
    return name == "gemma4" || name == "granite-embed-multi-311m" || name == "sarvam-moe";
}

Result<std::unique_ptr<LoadedModel>> load_split_by(const char* name) {
    const testing::TemporaryFolder folder;
    const testing::TinyModel description{
        .n_layer = 1,
        .n_embd = 32,
        .vocabulary = writes_blanks_as_sentence_piece(name) ? testing::TinyVocabulary::sentence_piece
                                                            : testing::TinyVocabulary::byte_level,
        .spoil = [name](gguf_context* gguf) {
            gguf_set_val_str(gguf, "tokenizer.ggml.model", "gpt2");
            gguf_set_val_str(gguf, "tokenizer.ggml.pre", name);
            if (gguf_find_key(gguf, "tokenizer.ggml.merges") < 0) {
                std::array<const char*, 2> merges = {"r e", "i n"};
                gguf_set_arr_str(gguf, "tokenizer.ggml.merges", merges.data(), merges.size());
            }
        }};
    const auto path = folder.path() / "model.gguf";
    write_tiny_model(description, path);
    return LoadedModel::load(path, {.parts = LoadParts::vocabulary});
}

std::string run_of(std::string_view part, size_t bytes) {
    std::string run;
    while (run.size() < bytes) {
        run += part;
    }
    return run;
}

void check_runs(const Vocabulary& vocabulary, size_t bytes) {
    for (const std::string_view part :
         {" ",      "\n", "\t", " \t",     "\r\n", " \n", "a",    "Ab",      "7",  ".",
          "\u00A0", "é",  "中", "e\u0301", "ab ",  "//",  "./\n", " \u00A0", "7 ", "<"}) {
        CAPTURE(part);
        const std::string text = "x" + run_of(part, bytes) + "x";
        std::string back;
        for (const TokenId token : tokenize_inside(vocabulary, text)) {
            back += vocabulary.piece(token);
        }
        CHECK((back == text)); // without the parentheses a failure would print both
    }
}

} // namespace

TEST_CASE("pre-tokenizers take long runs of any kind of character") {
    for (const std::vector<const char*>& row : pre_tokenizers) {
        for (const char* const name : row) {
            CAPTURE(std::string(name));
            const auto model = load_split_by(name);
            REQUIRE_MESSAGE(model, model.error().message);
            const unsigned bytes = name == row.front() ? long_run_bytes : short_run_bytes;
            check_runs((*model)->vocabulary(), number_from_environment("PIE_LONG_RUN_BYTES", bytes));
        }
    }
}

TEST_CASE("SentencePiece takes long runs of any kind of character") {
    const testing::TemporaryFolder folder;
    const auto path = folder.path() / "model.gguf";
    testing::write_tiny_model(
        {.n_layer = 1, .n_embd = 32, .vocabulary = testing::TinyVocabulary::sentence_piece}, path);
    const auto model = LoadedModel::load(path, {.parts = LoadParts::vocabulary});
    REQUIRE_MESSAGE(model, model.error().message);
    check_runs((*model)->vocabulary(), long_run_bytes);
}

TEST_CASE("a control token's name is one token wherever it stands behind a long run") {
    const auto model = load_split_by("gpt-2");
    REQUIRE_MESSAGE(model, model.error().message);
    const Vocabulary& vocabulary = (*model)->vocabulary();
    const std::vector<TokenId> marker = vocabulary.tokenize_markup("<fim_prefix>");
    REQUIRE(marker.size() == 1);
    for (size_t n = 4070; n < 4110; ++n) { // 4,096 bytes are tokenised at once
        CAPTURE(n);
        const std::vector<TokenId> tokens =
            vocabulary.tokenize_markup(std::string(n, 'z') + "<fim_prefix>yy");
        CHECK(std::ranges::count(tokens, marker.front()) == 1);
    }
}

TEST_CASE("the pre-tokenizer on whose pieces libllama ends the program is refused") {
    const auto refused = load_split_by("whitespace");
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::unsupported);
    CHECK(refused.error().message.find("pre-tokenizer 'whitespace'") != std::string::npos);
}

} // namespace pie
