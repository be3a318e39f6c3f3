#include "bench/keystrokes.h"
#include "bench/replay_edit.h"
#include "eval/random.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace pie {
namespace {

std::vector<std::string> texts_of(const std::vector<Keystroke>& strokes) {
    std::vector<std::string> texts;
    for (const Keystroke& stroke : strokes) {
        texts.push_back(stroke.text);
    }
    return texts;
}

} // namespace

TEST_CASE("what changed within a line is deleted at once and typed character by character") {
    const auto strokes = keystrokes("one\ntwo three\nfour\n", "one\ntwo abc three\nfour\n");
    CHECK(texts_of(strokes) == std::vector<std::string>{"one\ntwo athree\nfour\n", "one\ntwo abthree\nfour\n",
                                                        "one\ntwo abcthree\nfour\n",
                                                        "one\ntwo abc three\nfour\n"});
    CHECK(strokes[0].cursor == 9);
    CHECK(strokes[3].cursor == 12);
    CHECK(strokes[0].begins);
    CHECK_FALSE(strokes[1].begins);
}

TEST_CASE("edits come from top to bottom, and each begins somewhere else") {
    const auto strokes = keystrokes("a\nb\nc\nd\n", "a\nc\nxd\n");
    CHECK(texts_of(strokes) == std::vector<std::string>{"a\nc\nd\n", "a\nc\nxd\n"});
    CHECK(strokes[0].cursor == 2);
    CHECK(strokes[0].begins);
    CHECK(strokes[1].begins);
}

TEST_CASE("equal texts need no keystroke") {
    CHECK(keystrokes("a\n", "a\n").empty());
    CHECK(keystrokes("", "").empty());
}

TEST_CASE("any text becomes any other, a character typed at a time") {
    for (uint64_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        Random random(seed, "keystrokes");
        const auto draw = [&random] {
            std::string text;
            for (size_t n = random.below(30); n > 0; --n) {
                text += "ab\n"[random.below(3)];
            }
            return text;
        };
        const std::string before = draw();
        const std::string after = draw();
        const auto strokes = keystrokes(before, after);
        CHECK((strokes.empty() ? before : strokes.back().text) == after);
        for (size_t i = 1; i < strokes.size(); ++i) {
            CHECK(strokes[i].text.size() <= strokes[i - 1].text.size() + 1);
            CHECK(strokes[i].cursor <= strokes[i].text.size());
        }
    }
}

TEST_CASE("the replayed commit") {
    const auto strokes = keystrokes(replay_before, replay_after);
    REQUIRE(strokes.size() > 100);
    CHECK(strokes.back().text == replay_after);
}

} // namespace pie
