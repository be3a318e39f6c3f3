// Where a text ends must not depend on how it is cut into tokens: each rule on known texts, and all of them
// on random texts in random pieces against the definition, read over the whole text.

#include "session/stop_rule.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace pie {
namespace {

struct Outcome {
    std::string text;
    std::optional<FinishReason> finish;
    std::string after_each; // the text that each piece brought, and a bar

    bool operator==(const Outcome& other) const { return text == other.text && finish == other.finish; }
};

Outcome run(const StopOptions& options, const std::vector<std::string>& pieces, double milliseconds = 0) {
    StopRule rule(options);
    Outcome outcome;
    for (const std::string& piece : pieces) {
        const StopRule::Step step = rule.push(piece, milliseconds);
        outcome.text += step.text;
        outcome.after_each += std::string(step.text) + "|";
        if (step.finish) {
            outcome.finish = step.finish;
            CHECK(rule.rest().empty());
            return outcome;
        }
    }
    outcome.text += rule.rest();
    return outcome;
}

Outcome run_characters(const StopOptions& options, const std::string& text) {
    std::vector<std::string> pieces;
    for (const char c : text) {
        pieces.emplace_back(1, c);
    }
    return run(options, pieces);
}

bool is_small_indent(const std::string& text, size_t at, int32_t n_indent) {
    const size_t line = text.rfind('\n', at - 1);
    return line != std::string::npos && text.find_first_not_of(" \t", line + 1) == at &&
           static_cast<int32_t>(at - line - 1) < n_indent;
}

bool is_fence(const std::string& text, size_t at, FenceStop fence) {
    const size_t line = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    const size_t begin = line == std::string::npos ? 0 : line + 1;
    const bool counts =
        fence == FenceStop::anywhere || (fence == FenceStop::behind_first_line && line != std::string::npos);
    return counts && text.find_first_not_of(" \t", begin) == at && text.substr(at, 3) == "```";
}

// The definition: the shortest beginning of the text that shows that it is over.
Outcome naive(const StopOptions& options, const std::string& text) {
    for (size_t end = 1; end <= text.size(); ++end) {
        const std::string beginning = text.substr(0, end);
        size_t length = 0;
        for (const std::string& string : options.strings) {
            if (!string.empty() && beginning.ends_with(string)) {
                const bool ends_line = string.front() == '\n' && beginning.ends_with("\r" + string);
                length = std::max(length, string.size() + (ends_line ? 1 : 0));
            }
        }
        if (length > 0) {
            return {text.substr(0, end - length), FinishReason::stop_string, {}};
        }
        if (end > 2 && is_fence(beginning, end - 3, options.fence)) {
            return {text.substr(0, end - 3), FinishReason::fence, {}};
        }
        if (end > 1 && is_small_indent(text, end - 1, options.n_indent)) {
            return {text.substr(0, end - 1), FinishReason::indentation, {}};
        }
    }
    return {text, std::nullopt, {}};
}

} // namespace

TEST_CASE("a stop string is found across tokens and is not part of the text") {
    const StopOptions options{.strings = {"\n\n", "END"}};
    CHECK(run(options, {"a", "b\n", "\nc"}) == Outcome{"ab", FinishReason::stop_string, {}});
    CHECK(run(options, {"ab E", "N", "D of"}) == Outcome{"ab ", FinishReason::stop_string, {}});
    CHECK(run(options, {"xEND", "y"}) == Outcome{"x", FinishReason::stop_string, {}});
    CHECK(run(options, {"END"}) == Outcome{"", FinishReason::stop_string, {}});
    CHECK(run(options, {"EN", "ABEN"}) == Outcome{"ENABEN", std::nullopt, {}});
    CHECK(run({.strings = {""}}, {"a"}) == Outcome{"a", std::nullopt, {}});
}

TEST_CASE("what may begin a stop string is held back until it is known not to") {
    const StopOptions options{.strings = {"</code>"}};
    CHECK(run(options, {"a<", "/", "b"}).after_each == "a||</b|");
    CHECK(run(options, {"a</co", "d", "e>x"}).after_each == "a|||");
    CHECK(run(options, {"<</co"}).text == "<</co"); // the end of the completion, not of the doubt
    CHECK(run({.strings = {"aab"}}, {"aa", "a", "ab"}).after_each == "|a|a|");
}

TEST_CASE("a line that ends in CR LF ends before both where a stop string begins with LF") {
    const StopOptions lines{.strings = {"\n"}};
    CHECK(run(lines, {"a\r\nb"}).text == "a");
    CHECK(run(lines, {"a\r", "\nb"}) == Outcome{"a", FinishReason::stop_string, {}});
    CHECK(run(lines, {"a\r", "\nb"}).after_each == "a||");
    CHECK(run(lines, {"a\r", "b"}).after_each == "a|\rb|"); // a CR alone ends no line
    CHECK(run(lines, {"a\r"}).text == "a\r");
    CHECK(run(lines, {"a\r\r\n"}).text == "a\r");
    CHECK(run({.strings = {"\ndef"}}, {"a\r\n", "de", "x\r\nd", "ef"}).after_each == "a||\r\ndex||");
    CHECK(run({.strings = {"b\n"}}, {"ab\r\nb\n"}).text == "ab\r\n"); // the string is matched as it is
}

TEST_CASE("of two stop strings the one that is complete first counts, then the longer one") {
    CHECK(run({.strings = {"abcd", "c"}}, {"xabcd"}).text == "xab");
    CHECK(run({.strings = {"c", "abc"}}, {"xabcd"}).text == "x");
}

TEST_CASE("a line that is indented less than n_indent ends the text") {
    const StopOptions options{.n_indent = 4};
    CHECK(run(options, {"if x:\n", "    y()\n", "    z()"}) == Outcome{"if x:\n    y()\n    z()", {}, {}});
    CHECK(run(options, {"y()\n", "  ", "z()"}) == Outcome{"y()\n  ", FinishReason::indentation, {}});
    CHECK(run(options, {"y()\n}"}) == Outcome{"y()\n", FinishReason::indentation, {}});
    CHECK(run(options, {"y()\n\n    z()"}) == Outcome{"y()\n", FinishReason::indentation, {}});
    CHECK(run(options, {"y()\n\t\t\t\tz()\n", "\t"}) == Outcome{"y()\n\t\t\t\tz()\n\t", {}, {}});
    CHECK(run(options, {"  y()"}) == Outcome{"  y()", {}, {}}); // the first line is not asked
    CHECK(run({}, {"y()\nz()"}) == Outcome{"y()\nz()", {}, {}});
}

TEST_CASE("a line that begins with three backticks ends the text") {
    const StopOptions later{.fence = FenceStop::behind_first_line};
    const StopOptions anywhere{.fence = FenceStop::anywhere};
    CHECK(run(later, {"a\n``", "`\nb"}) == Outcome{"a\n", FinishReason::fence, {}});
    CHECK(run(later, {"a\n``", "`\nb"}).after_each == "a\n||");
    CHECK(run(later, {"a\n  ```py"}) == Outcome{"a\n  ", FinishReason::fence, {}});
    CHECK(run(later, {"a\n``", "b\n"}).after_each == "a\n|``b\n|");
    CHECK(run(later, {"a\n`", "\n`", "` `"}) == Outcome{"a\n`\n`` `", {}, {}});
    CHECK(run(later, {"a\nx ```"}) == Outcome{"a\nx ```", {}, {}});
    CHECK(run(later, {"```\na"}) == Outcome{"```\na", {}, {}});
    CHECK(run(anywhere, {"``", "`"}) == Outcome{"", FinishReason::fence, {}});
    CHECK(run(anywhere, {" ", "```"}) == Outcome{" ", FinishReason::fence, {}});
    CHECK(run(anywhere, {"x```\n```"}) == Outcome{"x```\n", FinishReason::fence, {}});
    CHECK(run({}, {"a\n```"}) == Outcome{"a\n```", {}, {}});
    CHECK(run({.strings = {"a\n`"}, .fence = FenceStop::anywhere}, {"a\n```"}) ==
          Outcome{"", FinishReason::stop_string, {}});
}

TEST_CASE("the time limit takes effect with a line break") {
    const StopOptions options{.predict_milliseconds_max = 100};
    CHECK(run(options, {"a", "b", "c"}, 101) == Outcome{"abc", {}, {}});
    CHECK(run(options, {"a", "b\nc", "d"}, 101) == Outcome{"ab\nc", FinishReason::time_limit, {}});
    CHECK(run(options, {"a", "b\nc", "d"}, 99) == Outcome{"ab\ncd", {}, {}});
    CHECK(run({}, {"a\n"}, 1e9) == Outcome{"a\n", {}, {}});
    const StopOptions both{.strings = {"\n"}, .predict_milliseconds_max = 100};
    CHECK(run(both, {"a\n"}, 101) == Outcome{"a", FinishReason::stop_string, {}});
}

TEST_CASE("random texts in random pieces end where the definition says") {
    for (uint32_t seed = 1; seed <= 3000; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto random_text = [&random](size_t length_max) {
            std::string text(random() % (length_max + 1), ' ');
            std::ranges::generate(text, [&random] { return "ab \n\r```"[random() % 8]; });
            return text;
        };
        StopOptions options{.n_indent = static_cast<int32_t>(random() % 3),
                            .fence = static_cast<FenceStop>(random() % 3)};
        for (auto n = random() % 4; n > 0; --n) {
            options.strings.push_back(random_text(5));
        }
        const std::string text = random_text(40);
        std::vector<std::string> pieces;
        for (size_t at = 0; at < text.size();) {
            const size_t length = std::min(text.size() - at, size_t{1} + random() % 6);
            pieces.push_back(text.substr(at, length));
            at += length;
        }
        const Outcome expected = naive(options, text);
        CHECK(run(options, pieces) == expected);
        CHECK(run_characters(options, text) == expected);
    }
}

} // namespace pie
