// Which session a request belongs to.

#include "server/similarity.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <sstream>
#include <string>

namespace pie {
namespace {

std::string lines(int begin, int end) {
    std::string text;
    for (int i = begin; i < end; ++i) {
        text += "    value_" + std::to_string(i * 7919) + " = compute(" + std::to_string(i) + ")\n";
    }
    return text;
}

ContentPrint print(std::string text, size_t cursor = 0, std::vector<ContextChunk> chunks = {}) {
    return ContentPrint({std::move(text), cursor, std::move(chunks)});
}

size_t naively_shared(const std::string& a, const std::string& b) {
    const auto count = [](const std::string& text) {
        std::map<std::string, size_t> counts;
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);) {
            ++counts[line + (stream.eof() ? "" : "\n")];
        }
        return counts;
    };
    const auto in_a = count(a);
    auto in_b = count(b);
    size_t bytes = 0;
    for (const auto& [line, n] : in_a) {
        bytes += line.size() * std::min(n, in_b[line]);
    }
    return bytes;
}

} // namespace

TEST_CASE("shared lines, against a naive count") {
    const uint32_t seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 200; ++round) {
        std::string a;
        std::string b;
        for (std::string* text : {&a, &b}) {
            const size_t n_lines = random() % 30;
            for (size_t i = 0; i < n_lines; ++i) {
                *text += std::string(random() % 4, 'x') + std::to_string(random() % 5) + "\n";
            }
            if (random() % 2 == 0) {
                *text += "open";
            }
        }
        LineSet set_a;
        LineSet set_b;
        set_a.add(a);
        set_b.add(b);
        CHECK(set_a.n_bytes() == a.size());
        CHECK(set_a.bytes_shared_with(set_b) == naively_shared(a, b));
        CHECK(set_b.bytes_shared_with(set_a) == naively_shared(a, b));
    }
}

TEST_CASE("a window that slides over a file is still the same document") {
    CHECK(print(lines(0, 320)).share_with(print(lines(1, 321))) > 0.98);
    CHECK(print(lines(0, 320)).share_with(print(lines(100, 420))) > 0.6);
    CHECK(print(lines(0, 320)).share_with(print(lines(500, 820))) < 0.1);
}

TEST_CASE("a single line that grows is the same document") {
    CHECK(print("de").share_with(print("def")) > 0.6);
    CHECK(print("x = {" + std::string(1000, '1') + "}")
              .share_with(print("x = {" + std::string(1001, '1') + "}")) > 0.99);
    CHECK(print("").share_with(print("")) == 1);
    CHECK(print("").share_with(print("def")) == 0);
}

TEST_CASE("a small text within a large one does not take its session") {
    CHECK(print("}\n").share_with(print(lines(0, 100) + "}\n")) < 0.5);
}

TEST_CASE("chunks count like text") {
    const std::vector<ContextChunk> chunks = {{"a.py", lines(1000, 1300)}, {"b.py", lines(2000, 2300)}};
    const ContentPrint one = print(lines(0, 100), 0, chunks);
    CHECK(one.share_with(print(lines(500, 600), 0, chunks)) > 0.8);
    CHECK(one.share_with(print(lines(500, 600))) < 0.1);
    CHECK(one.chunk_bytes_shared_with(print("", 0, {chunks[1]})) == chunks[1].text.size());
}

TEST_CASE("what was typed on continues, what differs in anything else does not") {
    const std::string text = lines(0, 50);
    const size_t cursor = text.size() / 2;
    const std::vector<ContextChunk> chunks = {{"a.py", "a = 1\n"}};
    const auto typed = [&](size_t at, const std::string& what, const std::vector<ContextChunk>& beside = {}) {
        std::string with = text;
        with.insert(at, what);
        return print(with, at + what.size(), beside);
    };
    CHECK(typed(cursor, "a").continues(print(text, cursor)));
    CHECK(typed(cursor, "abc").continues(typed(cursor, "ab")));
    CHECK(typed(cursor, "abc", chunks).continues(typed(cursor, "ab", chunks)));
    CHECK_FALSE(typed(cursor, "ab").continues(typed(cursor, "abc")));
    CHECK_FALSE(print(text, cursor).continues(print(text, cursor)));
    CHECK_FALSE(print(text, cursor + 1).continues(print(text, cursor))); // a cursor that moved
    CHECK_FALSE(typed(cursor, "b").continues(typed(cursor, "a")));
    CHECK_FALSE(typed(10, "a").continues(typed(cursor, "b")));
    CHECK_FALSE(typed(cursor, "abc", chunks).continues(typed(cursor, "ab")));
    CHECK_FALSE(print(lines(60, 90), 10).continues(print(text, 10)));
    CHECK_FALSE(typed(cursor, std::string(1000, 'x')).continues(print(text, cursor)));
}

} // namespace pie
