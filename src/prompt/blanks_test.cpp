#include "prompt/blanks.h"
#include "prompt/test_vocabularies.h"

using pie::blanks_before_word;
using pie::TokenId;
using pie::Vocabulary;
using pie::test::load_vocabulary;

TEST_CASE("the token of blanks is the one that stands before words") {
    for (const std::string name : {"qwen2", "starcoder", "deepseek-coder", "llama-bpe", "gpt-2"}) {
        const auto model = load_vocabulary(name);
        if (model == nullptr) {
            continue;
        }
        const Vocabulary& vocabulary = model->vocabulary();
        for (const std::string line_end : {"", "\n", "\r\n"}) {
            for (size_t n = 1; n <= 24; ++n) {
                const std::string blanks = line_end + std::string(n, n % 5 == 0 ? '\t' : ' ');
                CAPTURE(name);
                CAPTURE(blanks);
                const auto token = blanks_before_word(vocabulary, blanks);
                for (const std::string word : {"return", "x", "if", "total_cost", "Graph"}) {
                    const TokenId first = vocabulary.tokenize(blanks + word).front();
                    const bool lacks_one = vocabulary.piece(first).size() + 1 == blanks.size();
                    CHECK(token == (lacks_one ? std::optional(first) : std::nullopt));
                }
            }
        }
    }
}

TEST_CASE("behind four blanks a word of Qwen2 has a blank of its own, behind one it has that") {
    const auto model = load_vocabulary("qwen2");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    REQUIRE(blanks_before_word(vocabulary, "    "));
    CHECK(vocabulary.piece(*blanks_before_word(vocabulary, "    ")) == "   ");
    CHECK(vocabulary.piece(*blanks_before_word(vocabulary, "\t\t")) == "\t");
    for (const char* text : {" ", "\t", "", "x", " x", "x ", "\n", "\n  "}) {
        CAPTURE(text);
        CHECK_FALSE(blanks_before_word(vocabulary, text));
    }
}
