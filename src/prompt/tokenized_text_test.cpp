#include "prompt/test_vocabularies.h"
#include "prompt/tokenized_text.h"

#include <algorithm>

using pie::CutRule;
using pie::TokenId;
using pie::TokenizedText;
using pie::Vocabulary;
using pie::test::load_vocabulary;
using pie::test::RandomText;

namespace {

void random_edit(RandomText& random, std::string& text) {
    if (random.below(100) == 0) {
        text = random.below(2) == 0 ? "" : random.of_size(random.below(2000));
        return;
    }
    const size_t edit_count = random.below(10) == 0 ? 3 : 1;
    for (size_t i = 0; i < edit_count; ++i) {
        const size_t begin = random.place(text);
        size_t end = begin;
        if (random.below(2) == 0) {
            end = std::max(begin, random.place(text));
            // Mostly short, sometimes most of the text.
            if (random.below(30) != 0) {
                end = std::min(end, begin + random.below(30));
                while (end > begin && end < text.size() &&
                       (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
                    --end;
                }
            }
        }
        const bool long_insertion = text.size() < 400 || (text.size() < 1200 && random.below(20) == 0);
        text.replace(begin, end - begin, long_insertion ? random.of_size(300) : random.fragment());
    }
}

void check_updates(RandomText& random, const char* name, int update_count) {
    const auto model = load_vocabulary(name);
    if (model == nullptr) {
        return;
    }
    CAPTURE(name);
    const Vocabulary& vocabulary = model->vocabulary();
    TokenizedText tokenized(std::make_shared<const CutRule>(vocabulary));
    std::string text;
    for (int update = 0; update < update_count; ++update) {
        const std::string before = text;
        random_edit(random, text);
        const std::vector<TokenId>& tokens = tokenized.update(text);
        const bool equal = tokens == vocabulary.tokenize(text);
        if (!equal) {
            CAPTURE(update);
            CAPTURE(before);
            CAPTURE(text);
            FAIL("tokens differ from those of the text tokenised from scratch");
        }
        REQUIRE(&tokens == &tokenized.tokens());
    }
}

} // namespace

TEST_CASE("after any edits the tokens are those of the whole text") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    RandomText random(seed);
    check_updates(random, "qwen2", 700);
    check_updates(random, "starcoder", 400);
    check_updates(random, "gpt-2", 400);
    check_updates(random, "llama-spm", 700);
    check_updates(random, "phi-3", 300);
    check_updates(random, "mpt", 300);
    check_updates(random, "falcon", 100);
    check_updates(random, "deepseek-coder", 100);
    check_updates(random, "bert-bge", 200);
}

TEST_CASE("a long line without a safe place is right too") {
    const auto model = load_vocabulary("starcoder");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    TokenizedText tokenized(std::make_shared<const CutRule>(vocabulary));
    std::string line;
    while (line.size() < 5000) {
        line += "function(a,b){return(a+b)};";
    }
    CHECK(tokenized.update(line) == vocabulary.tokenize(line));
    line.insert(2500, "x");
    CHECK(tokenized.update(line) == vocabulary.tokenize(line));
}

TEST_CASE("a minified file: a run of 200,000 characters is tokenised, and nothing of it is lost") {
    for (const char* name : {"deepseek-coder", "qwen2", "starcoder", "llama-spm"}) {
        CAPTURE(name);
        const auto model = load_vocabulary(name);
        if (model == nullptr) {
            continue;
        }
        const Vocabulary& vocabulary = model->vocabulary();
        const std::string text = "x = \"" + std::string(199'998, 'a') + "\u00e9\";\n";
        TokenizedText tokenized(std::make_shared<const CutRule>(vocabulary));
        std::string joined;
        for (const TokenId token : tokenized.update(text)) {
            joined += vocabulary.piece(token);
        }
        CHECK(joined.ends_with(text)); // some vocabularies put a space in front
        CHECK(tokenized.tokens() == vocabulary.tokenize(text));
    }
}
