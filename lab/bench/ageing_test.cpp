#include "bench/ageing.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pie {
namespace {

SourceDocument numbered(int n) {
    SourceDocument document;
    for (int i = 0; i < n; ++i) {
        document.lines.push_back("line " + std::to_string(i) + "\n");
    }
    return document;
}

Lines sorted(Lines lines) {
    std::ranges::sort(lines);
    return lines;
}

std::string cursor_line(const DocumentState& state) {
    const size_t begin = state.text.rfind('\n', state.cursor - 1) + 1;
    return state.text.substr(begin, state.cursor - begin);
}

} // namespace

TEST_CASE("a line goes, and comes back elsewhere; the cursor stays on its own") {
    for (const int n_lines : {2, 3, 40}) {
        CAPTURE(n_lines);
        const SourceDocument document = numbered(n_lines);
        Ageing ageing(document);
        const std::string home = cursor_line(ageing.state());
        for (int i = 0; i < 500; ++i) {
            const Lines before = ageing.lines();
            ageing.edit();
            CHECK(ageing.lines().size() == document.lines.size() - (i % 2 == 0 ? 1 : 0));
            CHECK(ageing.lines() != before);
            CHECK(cursor_line(ageing.state()) == home);
        }
        CHECK(sorted(ageing.lines()) == sorted(document.lines));
    }
}

TEST_CASE("after many edits few lines are where they were") {
    const SourceDocument document = numbered(200);
    Ageing ageing(document);
    for (int i = 0; i < 2000; ++i) {
        ageing.edit();
    }
    size_t n_followed = 0; // by the line that followed them at first
    for (size_t i = 0; i + 1 < document.lines.size(); ++i) {
        const auto line = std::ranges::find(ageing.lines(), document.lines[i]);
        n_followed += line + 1 != ageing.lines().end() && *(line + 1) == document.lines[i + 1] ? 1 : 0;
    }
    CHECK(n_followed < 10);
}

TEST_CASE("equal documents have equal sessions") {
    Ageing one(numbered(30));
    Ageing other(numbered(30));
    for (int i = 0; i < 101; ++i) {
        one.edit();
        other.edit();
    }
    CHECK(one.state() == other.state());
}

} // namespace pie
