#include "eval/edit_diff.h"

#include <doctest/doctest.h>

#include <string>

namespace pie {
namespace {

EvalRow made(const std::string& before, const std::string& after) {
    return {.id = "1",
            .kind = "insertion",
            .language = "python",
            .before = before,
            .after = after,
            .target = "x\n"};
}

} // namespace

TEST_CASE("removed and added lines with the ones around them") {
    CHECK(edit_diff(made("a\nb\nc\nd\ne\n", "a\nb\nC\nd\ne\n")) == " b\n-c\n+C\n d\n");
    CHECK(edit_diff(made("<PRE>a\n<SUF>z<MID>", "<PRE>a\nb\n<SUF>z<MID>")) == " <PRE>a\n+b\n <SUF>z<MID>\n");
    CHECK(edit_diff(made("a\n", "a\n")).empty());
}

TEST_CASE("long lines and many lines are cut, characters are not") {
    const std::string wide = "é"; // two bytes
    std::string line = "x";
    for (int i = 0; i < 80; ++i) {
        line += wide;
    }
    // 100 bytes would end within a character.
    CHECK(edit_diff(made("", line + "\n")) == "+" + line.substr(0, 99) + " …\n");
    std::string many;
    for (int i = 0; i < 20; ++i) {
        many += "line " + std::to_string(i) + "\n";
    }
    const std::string diff = edit_diff(made("", many));
    CHECK(diff.starts_with("+line 0\n+line 1\n"));
    CHECK(diff.ends_with("+line 15\n … 4 more lines\n"));
}

} // namespace pie
