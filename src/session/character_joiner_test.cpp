#include "session/character_joiner.h"

#include <doctest/doctest.h>

#include <vector>

namespace pie {
namespace {

std::vector<std::string> join(const std::vector<std::string>& pieces) {
    CharacterJoiner joiner;
    std::vector<std::string> texts;
    for (const std::string& piece : pieces) {
        texts.push_back(joiner.push(piece));
    }
    return texts;
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("a character that pieces split comes when it is whole") {
    CHECK(join({"a\xC3", "\xA9z"}) == Texts{"a", "\xC3\xA9z"});
    CHECK(join({"\xE2", "\x82", "\xAC"}) == Texts{"", "", "\xE2\x82\xAC"});
    CHECK(join({"\xF0\x9F", "\x98\x80", "!"}) == Texts{"", "\xF0\x9F\x98\x80", "!"});
    CHECK(join({"a", "", "b\n"}) == Texts{"a", "", "b\n"});
}

TEST_CASE("bytes that are no character become U+FFFD, and what follows them is not lost") {
    CHECK(join({"a\xFFz"}) == Texts{"a\xEF\xBF\xBDz"});
    CHECK(join({"\xC3", "a"}) == Texts{"", "\xEF\xBF\xBD"
                                           "a"});
    CHECK(join({"\x80", "a"}) == Texts{"\xEF\xBF\xBD", "a"});
}

} // namespace pie
