// Texts that one expression of a pre-tokenizer matches as a whole. std::regex, by which libllama splits the
// text of some vocabularies, recurses once a character, and such a text overflowed the stack.

#include "prompt/test_vocabularies.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

namespace pie {
namespace {

constexpr size_t run_bytes = 60'000;

// Those whose expressions std::regex runs, of each family one.
constexpr std::array pre_tokenizers = {"tekken",     "deepseek-llm", "deepseek-coder",
                                       "seed-coder", "gpt-4o",       "exaone-moe"};

std::unique_ptr<test::TestVocabulary> vocabulary_split_by(const std::string& pre_tokenizer) {
    std::array<llama_model_kv_override, 2> overrides{};
    overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::strcpy(overrides[0].key, "tokenizer.ggml.pre");
    REQUIRE(pre_tokenizer.size() < sizeof(overrides[0].val_str));
    std::strcpy(overrides[0].val_str, pre_tokenizer.c_str());
    return test::load_vocabulary("gpt-2", overrides.data());
}

std::string run_of(std::string_view part) {
    std::string run;
    while (run.size() < run_bytes) {
        run += part;
    }
    return run;
}

} // namespace

TEST_CASE("pre-tokenizers take long runs of any kind of character") {
    for (const std::string name : pre_tokenizers) {
        CAPTURE(name);
        const auto vocabulary = vocabulary_split_by(name);
        REQUIRE(vocabulary != nullptr);
        for (const std::string_view part : {" ", "\n", "\t", " \t", "\r\n", " \n", "a", "Ab", "7", ".",
                                            "\u00A0", "é", "中", "ab ", "//", "./\n", " \u00A0"}) {
            CAPTURE(part);
            const std::string text = "x" + run_of(part) + "x";
            std::string back;
            for (const TokenId token : vocabulary->vocabulary().tokenize(text)) {
                back += vocabulary->vocabulary().piece(token);
            }
            CHECK((back == text)); // without the parentheses a failure would print both
        }
    }
}

} // namespace pie
