#include "text/line_diff.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using pie::ByteOffset;
using pie::DiffHunk;
using pie::DiffLine;
using pie::line_diff;
using pie::LineChange;
using pie::LineIndex;
using pie::map_back;

namespace {

// As `diff -u` prints it.
std::string unified(const std::vector<DiffHunk>& hunks) {
    std::string out;
    for (const DiffHunk& hunk : hunks) {
        out += "@@ -" + std::to_string(hunk.before_begin.value + 1) + "," +
               std::to_string(hunk.before_line_count) + " +" + std::to_string(hunk.after_begin.value + 1) +
               "," + std::to_string(hunk.after_line_count) + " @@\n";
        for (const DiffLine& line : hunk.lines) {
            out += line.change == LineChange::kept ? ' ' : line.change == LineChange::added ? '+' : '-';
            out += std::string(line.text) + "\n";
        }
    }
    return out;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

// Applies hunks as `patch` would, and fails where a removed or kept line is not there.
std::vector<std::string> patch(const std::vector<std::string>& before, const std::vector<DiffHunk>& hunks) {
    std::vector<std::string> after;
    size_t at = 0;
    for (const DiffHunk& hunk : hunks) {
        REQUIRE(hunk.before_begin.value >= at);
        while (at < hunk.before_begin.value) {
            after.push_back(before[at++]);
        }
        REQUIRE(after.size() == hunk.after_begin.value);
        for (const DiffLine& line : hunk.lines) {
            if (line.change != LineChange::added) {
                REQUIRE(at < before.size());
                REQUIRE(before[at++] == line.text);
            }
            if (line.change != LineChange::removed) {
                after.emplace_back(line.text);
            }
        }
        REQUIRE(at == hunk.before_begin.value + hunk.before_line_count);
        REQUIRE(after.size() == hunk.after_begin.value + hunk.after_line_count);
    }
    while (at < before.size()) {
        after.push_back(before[at++]);
    }
    return after;
}

// `|` marks the place in either text.
void check_map(std::string before, std::string after) {
    CAPTURE(before);
    CAPTURE(after);
    const size_t wanted = before.find('|');
    before.erase(wanted, 1);
    const size_t place = after.find('|');
    after.erase(place, 1);
    CHECK(map_back(before, after, ByteOffset(place)).value == wanted);
}

} // namespace

TEST_CASE("equal texts have no hunks") {
    CHECK(line_diff("", "").empty());
    CHECK(line_diff("a\nb", "a\nb").empty());
}

TEST_CASE("hunks read as diff -u prints them") {
    CHECK(unified(line_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n")) ==
          "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    CHECK(unified(line_diff("1\n2\n3\n", "0\n1\n2\n3\n4\n", 1)) ==
          "@@ -1,1 +1,2 @@\n+0\n 1\n@@ -3,1 +4,2 @@\n 3\n+4\n");
    CHECK(unified(line_diff("1\n2\n", "0\n1\n2\n4\n", 1)) == "@@ -1,2 +1,4 @@\n+0\n 1\n 2\n+4\n");
    CHECK(unified(line_diff("", "x\ny\n")) == "@@ -1,0 +1,2 @@\n+x\n+y\n");
    CHECK(unified(line_diff("x\n", "")) == "@@ -1,1 +1,0 @@\n-x\n");
    CHECK(unified(line_diff("a\nb\nc\n", "a\nc\n", 0)) == "@@ -2,1 +2,0 @@\n-b\n");
    CHECK(unified(line_diff("x\r\ny\n", "x\ny", 0)) == "@@ -1,2 +1,2 @@\n-x\n-y\n+x\n+y\n");
}

TEST_CASE("a place maps back to where its text stood") {
    check_map("a\nb|c\nd\n", "a\nnew\nb|c\nd\n");
    check_map("foo(a, |b)\n", "foo(axx, |b)\n");
    check_map("one\n|two\n", "one\n|new line\ntwo\n"); // in front of inserted text
    check_map("one\n|two\n", "one\nnew |line\ntwo\n"); // within it
    check_map("one\n|two\n", "one\nnew line\n|two\n"); // behind it
    check_map("int x|;\n", "int xyz|;\n");
    check_map("int x|;\n", "int xy|z;\n");
    check_map("int xyz|;\n", "int x|;\n"); // stays in front of what follows
    check_map("x\nlast|", "x\nlast|");
    check_map("x\nlast| gone", "x\nlast|");
    check_map("x\n|gone\n", "x\n|");
    check_map("x\n|", "x\ny\n|");
    check_map("|", "all new|");
    check_map("näme = |名;\n", "nämens = |名;\n");
    check_map("f(|x, y)\n", "f(name|, x, y)\n");
    check_map("a(b, |c)\n", "a(bb, |cc)\n");
}

TEST_CASE("hunks turn the old text into the new one, and places of kept text map exactly") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
    for (int round = 0; round < 400; ++round) {
        std::string before;
        const size_t line_count = below(40);
        for (size_t i = 0; i < line_count; ++i) {
            before += below(3) == 0 ? "}\n" : "line " + std::to_string(below(20)) + "\n";
        }
        std::string after = before;
        const size_t edit_count = below(4);
        for (size_t i = 0; i < edit_count; ++i) {
            const size_t begin = below(after.size() + 1);
            const size_t length = std::min(below(12), after.size() - begin);
            after.replace(begin, length, std::vector<std::string>{"", "x", "new\n", "a\nb"}[below(4)]);
        }
        CAPTURE(before);
        CAPTURE(after);
        const size_t context = below(4);
        const auto hunks = line_diff(before, after, context);
        REQUIRE(patch(split(before), hunks) == split(after));
        REQUIRE(hunks.empty() == (before == after));

        // One insertion, marked by characters that occur nowhere else: every place has one right answer.
        const size_t at = below(before.size() + 1);
        const std::string inserted = std::vector<std::string>{"@", "@@\n@", "@\n"}[below(3)];
        std::string longer = before;
        longer.insert(at, inserted);
        const size_t place = below(longer.size() + 1);
        const size_t wanted = place <= at                    ? place
                              : place < at + inserted.size() ? at
                                                             : place - inserted.size();
        REQUIRE(map_back(before, longer, ByteOffset(place)).value == wanted);
    }
}
