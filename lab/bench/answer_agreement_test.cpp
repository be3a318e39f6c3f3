#include "base/test_fixtures.h"
#include "bench/answer_agreement.h"
#include "model/model.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("first lines, and tokens before the first difference") {
    const ScratchFolder scratch;
    testing::write_tiny_model({}, scratch.path / "tiny.gguf");
    const auto model = LoadedModel::load(scratch.path / "tiny.gguf", {.parts = LoadParts::vocabulary});
    REQUIRE(model);
    const auto agreement = [&](std::string_view a, std::string_view b) {
        return agreement_of(a, b, (*model)->vocabulary());
    };
    const AnswerAgreement same = agreement("ab\ncd", "ab\ncd");
    CHECK(same.first_line);
    CHECK(same.tokens == 1);
    const AnswerAgreement nothing = agreement("", "");
    CHECK(nothing.first_line);
    CHECK(nothing.tokens == 1);
    const AnswerAgreement one_empty = agreement("", "ab");
    CHECK_FALSE(one_empty.first_line);
    CHECK(one_empty.tokens == 0);
    const AnswerAgreement second_line = agreement("ab\nxy", "ab\nzw");
    CHECK(second_line.first_line);
    CHECK(second_line.tokens > 0);
    CHECK(second_line.tokens < 1);
    // It does not matter which of the two is the reference.
    CHECK(agreement("ab\n", "ab\nzwzwzw").tokens == agreement("ab\nzwzwzw", "ab\n").tokens);
}

} // namespace pie
