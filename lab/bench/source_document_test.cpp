#include "bench/source_document.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pie {
namespace {

// A word, or a sign, is a token.
size_t count_words(std::string_view text) {
    size_t n = 0;
    bool in_word = false;
    for (const char c : text) {
        const bool is_letter = c >= 'a' && c <= 'z';
        n += c == ' ' || (is_letter && in_word) ? 0 : 1;
        in_word = is_letter;
    }
    return n;
}

SourceTree tree_of(size_t n_files) {
    SourceTree tree;
    for (size_t i = 0; i < n_files; ++i) {
        SourceFile file;
        file.path = std::string(1, static_cast<char>('a' + i)) + ".cpp";
        for (int line = 0; line < 300; ++line) {
            file.lines.push_back(std::string(1, static_cast<char>('a' + i)) +
                                 " some words of a longer line\n");
        }
        tree.files.push_back(file);
    }
    return tree;
}

} // namespace

TEST_CASE("a document has as many tokens as wanted, or just fewer") {
    const SourceTree tree = tree_of(5);
    for (const size_t n : {10U, 100U, 1000U}) {
        const auto document = make_document(tree, n, 1, count_words);
        REQUIRE(document);
        size_t n_tokens = 0;
        for (const std::string& line : document->lines) {
            n_tokens += count_words(line);
        }
        CHECK(n_tokens <= n);
        CHECK(n_tokens + 8 >= n);
    }
}

TEST_CASE("the seed decides the order of the files, and nothing else does") {
    const SourceTree tree = tree_of(5);
    const auto one = make_document(tree, 500, 1, count_words);
    const auto again = make_document(tree, 500, 1, count_words);
    REQUIRE(one);
    CHECK(one->lines == again->lines);
    CHECK(one->digest == again->digest);
    bool differs = false;
    for (uint64_t seed = 2; seed < 10; ++seed) {
        differs = differs || make_document(tree, 500, seed, count_words)->lines != one->lines;
    }
    CHECK(differs);
}

TEST_CASE("lines that look like markup or are not ASCII are left out") {
    SourceTree tree = tree_of(5);
    for (SourceFile& file : tree.files) {
        file.lines[0] = "the <|fim_middle|> marker\n";
        file.lines[1] = "caf\xc3\xa9\n";
        file.lines.back() = "no line break";
    }
    const auto document = make_document(tree, 4000, 1, count_words);
    REQUIRE(document);
    std::string text = document->spare;
    for (const std::string& line : document->lines) {
        text += line;
    }
    CHECK(text.find("<|") == std::string::npos);
    CHECK(text.find("caf") == std::string::npos);
    CHECK(text.find("no line break") == std::string::npos);
}

TEST_CASE("too few sources are an error") {
    const auto document = make_document(tree_of(1), 100'000, 1, count_words);
    REQUIRE_FALSE(document);
    CHECK(document.error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a text of so many tokens ends with a whole one") {
    CHECK(text_of_tokens("one two, three four", 1, count_words) == "one ");
    CHECK(text_of_tokens("one two, three four", 3, count_words) == "one two, ");
    CHECK(text_of_tokens("one two", 5, count_words) == "one two");
    CHECK(text_of_tokens("", 5, count_words).empty());
}

} // namespace pie
