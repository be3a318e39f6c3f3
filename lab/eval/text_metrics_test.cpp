// Similarities were computed by Python 3.11's difflib, with fuzzywuzzy's corner cases around it.

#include "eval/text_metrics.h"

#include <doctest/doctest.h>

#include <string>

namespace pie {
namespace {

std::string repeated(std::string_view text, int n) {
    std::string result;
    for (int i = 0; i < n; ++i) {
        result += text;
    }
    return result;
}

} // namespace

TEST_CASE("edit similarity is difflib's, in whole points") {
    struct Case {
        std::string prediction;
        std::string target;
        int similarity;
    };
    const Case cases[] = {
        {"return tota1", "return total", 92},
        {"a = b + c", "    a = b + c", 82},
        {"bcda", "abcd", 75},
        {"grosse = 1", "größe = 1", 74},
        {"", "x", 0},
        {"x", "", 0},
        {"", "", 100},
        {"cdxab", "abxcd", 40},
        {"acb", "ab", 80},
        {"self.items.append(item)", "self.items[name] = item", 65},
        {"bzdbyd edzda cdbbzzddxyebbebz xxzybdacac dzyx xydxbczabzbce ey d "
         "dxddzybzezydxybeczydaxebedcxaayx acx bxx  axdda xxcdcdzacaaaddab cyzbeayccx  yy ededa",
         "bddbcd edada cdbbe dd  ebbebd eaeabdacac de e  ed bcaab bce ec d dcdd "
         "dbceacdeebecdddaeebedccaa e aca bac  aadda edcdcdbacaaaddab cdcbeacccb   d ededa",
         67},
        {"bddbcd edada cdbbe dd  ebbebd eaeabdacac de e  ed bcaab bce ec d dcdd "
         "dbceacdeebecdddaeebedccaa e aca bac  aadda edcdcdbacaaaddab cdcbeacccb   d ededa",
         "bzdbyd edzda cdbbzzddxyebbebz xxzybdacac dzyx xydxbczabzbce ey d "
         "dxddzybzezydxybeczydaxebedcxaayx acx bxx  axdda xxcdcdzacaaaddab cyzbeayccx  yy ededa",
         68},
    };
    for (const Case& c : cases) {
        CAPTURE(c.prediction);
        CHECK(edit_similarity(c.prediction, c.target) == c.similarity);
    }
}

TEST_CASE("halves are rounded to the even number") {
    CHECK(edit_similarity("a" + repeated("x", 14), "a") == 12);        // 12.5
    CHECK(edit_similarity("aaa" + repeated("x", 10), "aaa") == 38);    // 37.5
    CHECK(edit_similarity("aaaaa" + repeated("x", 6), "aaaaa") == 62); // 62.5
}

TEST_CASE("in a prediction of 200 characters and more those that are too frequent start no match") {
    CHECK(edit_similarity(repeated("ab", 99), repeated("ab", 100)) == 99);
    CHECK(edit_similarity("z" + repeated("ab", 101), repeated("ab", 100)) == 0);
    // But equal beginnings match whatever they are made of.
    CHECK(edit_similarity(repeated("ab", 101), repeated("ab", 100)) == 100);
    // One rare character starts a match, and the frequent ones around it belong to it.
    CHECK(edit_similarity(repeated("ab", 60) + "q" + repeated("ab", 60), "abqab") == 4);
}

TEST_CASE("exact match asks for the same words alone") {
    CHECK(exactly_matches("  a  =\tb\n", "a = b"));
    CHECK(!exactly_matches("a=b", "a = b"));
    CHECK(exactly_matches("a\u00A0b", "a b"));
    CHECK(exactly_matches("", " "));
    CHECK(!exactly_matches("a b c", "a b"));
}

TEST_CASE("the predicted line is the first line of code") {
    CHECK(predicted_line("\n\n  # note\n\n    x = 1\ny = 2", "python") == "    x = 1");
    CHECK(predicted_line("\"\"\"a\nb\nc\"\"\"\nx = 1\n", "python") == "x = 1");
    // A docstring of one line opens a block, in which the next line that ends like one is the end.
    CHECK(predicted_line("'''a'''\nx = 1\n'''\ny = 2\n", "python") == "y = 2");
    CHECK(predicted_line("'''a'''\nx = 1\n", "python") == "'''a'''");
    CHECK(predicted_line("# only\n# comments", "python") == "# only");
    CHECK(predicted_line("", "python").empty());
    CHECK(predicted_line("// a\n/* b\n c */\n  int d;\n", "java") == "  int d;");
    CHECK(predicted_line("# a\n", "java") == "# a");
    CHECK(predicted_line("x = 1", "python") == "x = 1");
}

TEST_CASE("a line is settled when it is whole and code") {
    CHECK(!predicts_line("x = 1", "python"));
    CHECK(predicts_line("x = 1\n", "python"));
    CHECK(!predicts_line("\n# a\n", "python"));
    CHECK(predicts_line("\n# a\n\nb\n", "python"));
    CHECK(!predicts_line("\"\"\"\nb\n", "python"));
    CHECK(!predicts_line("", "java"));
}

TEST_CASE("edit distance of known pairs") {
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("sunday", "saturday") == 3);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("same", "same") == 0);
    CHECK(edit_distance("ab", "ba") == 2);
}

} // namespace pie
