#include "prompt/cut_rule.h"
#include "prompt/test_vocabularies.h"

#include <algorithm>
#include <cstring>

using pie::CutRule;
using pie::TokenId;
using pie::Vocabulary;
using pie::test::load_vocabulary;
using pie::test::RandomText;

namespace {

// Cuts a text at each safe place and compares with the text tokenised whole.
void check_all_cuts(const CutRule& rule, const Vocabulary& vocabulary, const std::string& text) {
    std::vector<TokenId> tokens;
    size_t begin = 0;
    for (size_t place = 1; place <= text.size(); ++place) {
        if (place == text.size() || rule.may_cut(text, place)) {
            rule.append_tokens(text, begin, place, false, tokens);
            begin = place;
        }
    }
    CAPTURE(text);
    REQUIRE(tokens == vocabulary.tokenize(text));
}

} // namespace

TEST_CASE("code can be cut often, whatever kind of vocabulary") {
    const std::string code =
        "    for (size_t i = 0; i < n; ++i) {\n        total += weight[i];\n    }\n}\nint x;\n";
    for (const char* name : {"starcoder", "deepseek-coder", "gpt-2", "llama-spm", "refact", "phi-3"}) {
        const auto model = load_vocabulary(name);
        if (model == nullptr) {
            continue;
        }
        CAPTURE(name);
        const CutRule rule(model->vocabulary());
        REQUIRE(rule.can_cut());
        CHECK(rule.may_cut(code, code.find(" (size")));
        CHECK(rule.may_cut(code, code.find("}\nint")));
        CHECK(rule.may_cut(code, code.find("int x")));
        // Inside a word, within indentation, behind a blank, in front of the line break.
        CHECK(!rule.may_cut(code, code.find("ize_t")));
        CHECK(!rule.may_cut(code, 2));
        CHECK(!rule.may_cut(code, code.find("for")));
        CHECK(!rule.may_cut(code, code.find('\n')));
        CHECK(!rule.may_cut(code, 0));
        CHECK(!rule.may_cut(code, code.size()));
    }
}

TEST_CASE("bytes that a token joins are not cut apart") {
    const auto model = load_vocabulary("deepseek-coder");
    if (model == nullptr) {
        return;
    }
    // This vocabulary has the token " = ", so the space behind "=" may be part of it.
    const std::string text = "a = b - c";
    const CutRule rule(model->vocabulary());
    CHECK(!rule.may_cut(text, text.find(" b")));
    CHECK(rule.may_cut(text, text.find(" c")));
}

TEST_CASE("a vocabulary of another kind is never cut") {
    const auto model = load_vocabulary("bert-bge");
    if (model == nullptr) {
        return;
    }
    const CutRule rule(model->vocabulary());
    const std::string text = "some words\nand more words";
    CHECK(!rule.can_cut());
    for (size_t place = 0; place <= text.size(); ++place) {
        CHECK(!rule.may_cut(text, place));
    }
    check_all_cuts(rule, model->vocabulary(), text);
}

TEST_CASE("the parts' tokens are the whole's, cut at every safe place of random texts") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    RandomText random(seed);
    struct Run {
        const char* name;
        int round_count;
    };
    // deepseek-coder's expressions are compiled anew for each part, hence slow.
    const std::vector<Run> runs = {{"qwen2", 150},         {"starcoder", 100}, {"gpt-2", 100},
                                   {"llama-spm", 150},     {"phi-3", 100},     {"mpt", 100},
                                   {"deepseek-coder", 10}, {"falcon", 50},     {"refact", 50}};
    for (const Run& run : runs) {
        const auto model = load_vocabulary(run.name);
        if (model == nullptr) {
            continue;
        }
        CAPTURE(run.name);
        const CutRule rule(model->vocabulary());
        for (int round = 0; round < run.round_count; ++round) {
            check_all_cuts(rule, model->vocabulary(), random.of_size(1 + random.below(500)));
        }
    }
}
