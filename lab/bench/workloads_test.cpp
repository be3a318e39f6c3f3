#include "bench/workloads.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace pie {
namespace {

// Four bytes are a token.
size_t count_fours(std::string_view text) {
    return (text.size() + 3) / 4;
}

SourceDocument document() {
    SourceDocument made;
    for (int i = 0; i < 200; ++i) {
        made.lines.push_back("    int number_" + std::to_string(i) + " = compute(value, other, third);\n");
    }
    for (int i = 0; i < 300; ++i) {
        made.spare += "spare text of line " + std::to_string(i) + "\n";
    }
    return made;
}

std::vector<WorkloadStep> steps_of(const SourceDocument& source, std::string_view name, size_t n_steps) {
    const auto chosen = choose_workloads(name);
    REQUIRE(chosen);
    REQUIRE(chosen->size() == 1);
    return chosen->front()->steps(*chosen->front(),
                                  {.document = source, .n_steps = n_steps, .count = count_fours});
}

std::string joined(const SourceDocument& source) {
    std::string text;
    for (const std::string& line : source.lines) {
        text += line;
    }
    return text;
}

size_t line_number(const DocumentState& state) {
    return static_cast<size_t>(
        std::count(state.text.begin(), state.text.begin() + static_cast<std::ptrdiff_t>(state.cursor), '\n'));
}

} // namespace

TEST_CASE("names are told apart, and chosen by") {
    std::set<std::string_view> names;
    for (const Workload& workload : workloads()) {
        CHECK(names.insert(workload.name).second);
        CHECK(workload.n_steps > 0);
    }
    CHECK(choose_workloads("all")->size() == workloads().size());
    CHECK(choose_workloads("standard")->size() < workloads().size());
    const auto two = choose_workloads("jump,typing");
    REQUIRE(two);
    CHECK(two->at(0)->name == "jump");
    CHECK(two->at(1)->name == "typing");
    const auto none = choose_workloads("typing,dancing");
    REQUIRE_FALSE(none);
    CHECK(none.error().message.find("dancing") != std::string::npos);
}

TEST_CASE("every workload changes something at each step, and keeps the cursor inside") {
    const SourceDocument source = document();
    for (const Workload& workload : workloads()) {
        CAPTURE(workload.name);
        for (const size_t n_steps : {size_t{1}, workload.n_steps, size_t{40}}) {
            const auto steps =
                workload.steps(workload, {.document = source, .n_steps = n_steps, .count = count_fours});
            if (workload.name == opening) {
                CHECK(steps.size() == 1);
                continue;
            }
            CHECK(steps.size() <= n_steps + workload.n_sessions);
            CHECK(steps.size() >= std::min<size_t>(n_steps, 5) + workload.n_sessions);
            for (size_t i = 0; i < steps.size(); ++i) {
                CHECK(steps[i].state.cursor <= steps[i].state.text.size());
                CHECK((i == 0 || steps[i].state != steps[i - 1].state));
            }
        }
    }
}

TEST_CASE("typing gives a line back, character by character") {
    const SourceDocument source = document();
    const auto steps = steps_of(source, "typing", 100);
    CHECK(steps.back().state.text == joined(source));
    for (size_t i = 1; i < steps.size(); ++i) {
        CHECK(steps[i].state.text.size() == steps[i - 1].state.text.size() + 1);
        CHECK(steps[i].state.cursor == steps[i - 1].state.cursor + 1);
        CHECK(steps[i].state.text[steps[i].state.cursor] == '\n');
    }
    // A quarter of the document is behind the cursor.
    const DocumentState& last = steps.back().state;
    CHECK(static_cast<double>(last.cursor) / static_cast<double>(last.text.size()) ==
          doctest::Approx(0.75).epsilon(0.02));
}

TEST_CASE("accepted lines give the document back") {
    const SourceDocument source = document();
    const auto steps = steps_of(source, "line", 3);
    REQUIRE(steps.size() == 4);
    for (size_t i = 1; i < steps.size(); ++i) {
        CHECK(line_number(steps[i].state) == line_number(steps[i - 1].state) + 1);
    }
    // Without the empty line that the cursor is on, the text is the document.
    std::string text = steps.back().state.text;
    const size_t end = steps.back().state.cursor + 1;
    const size_t begin = text.rfind('\n', end - 2) + 1;
    CHECK(text.substr(begin, end - begin) == "    \n");
    CHECK(text.erase(begin, end - begin) == joined(source));
}

TEST_CASE("a jump moves the cursor by 30 lines and no text") {
    const auto steps = steps_of(document(), "jump", 4);
    for (size_t i = 1; i < steps.size(); ++i) {
        CHECK(steps[i].state.text == steps[0].state.text);
        const auto from = static_cast<int>(line_number(steps[i - 1].state));
        const auto to = static_cast<int>(line_number(steps[i].state));
        CHECK(std::abs(to - from) == 30);
    }
}

TEST_CASE("insertions and deletions are of the wanted size, at the wanted place, and make new texts") {
    const SourceDocument source = document();
    const double size = static_cast<double>(joined(source).size());
    for (const Workload& workload : workloads()) {
        const bool inserts = workload.name.starts_with("insert");
        if (!inserts && !workload.name.starts_with("delete")) {
            continue;
        }
        CAPTURE(workload.name);
        const auto steps = steps_of(source, workload.name, 2);
        REQUIRE(steps.size() == 3);
        CHECK(steps[0].state.text == joined(source));
        for (size_t i = 1; i < 3; ++i) {
            const DocumentState& shorter = steps[inserts ? i - 1 : i].state;
            const DocumentState& longer = steps[inserts ? i : i - 1].state;
            const size_t n = longer.text.size() - shorter.text.size();
            CHECK(count_fours(std::string(n, 'x')) == workload.n_tokens);
            const auto mismatch = std::ranges::mismatch(shorter.text, longer.text).in1;
            const auto at = static_cast<double>(mismatch - shorter.text.begin());
            CHECK(at / size == doctest::Approx(workload.place).epsilon(0.05));
            // The cursor stays at the same text.
            CHECK((shorter.text.substr(shorter.cursor) == longer.text.substr(longer.cursor) ||
                   shorter.text.substr(0, shorter.cursor) == longer.text.substr(0, longer.cursor)));
        }
    }
}

TEST_CASE("after so many edits the same insertion, in a document of the same lines") {
    const SourceDocument source = document();
    const auto fresh = steps_of(source, "after-0", 3);
    const auto aged = steps_of(source, "after-1000", 3);
    REQUIRE(aged.size() == 4);
    CHECK(fresh[0].state.text == joined(source));
    CHECK(aged[0].state.text != joined(source));
    CHECK(aged[0].state.text.size() == joined(source).size());
    for (size_t i = 1; i < 4; ++i) {
        CHECK(aged[i].state.text.size() - aged[i - 1].state.text.size() ==
              fresh[i].state.text.size() - fresh[i - 1].state.text.size());
        CHECK(aged[i].pause_ms == fresh[i].pause_ms);
    }
}

TEST_CASE("several sessions type by turns, each into a part of its own") {
    const SourceDocument source = document();
    const auto steps = steps_of(source, "sessions-4", 10);
    REQUIRE(steps.size() == 14);
    for (size_t i = 0; i < steps.size(); ++i) {
        CHECK(steps[i].session == i % 4);
        if (i >= 4) { // a key behind what the session had before
            const DocumentState& before = steps[i - 4].state;
            std::string text = before.text;
            text.insert(before.cursor, 1, steps[i].state.text[before.cursor]);
            CHECK(steps[i].state.text == text);
            CHECK(steps[i].state.cursor == before.cursor + 1);
        }
    }
    for (size_t session = 0; session < 4; ++session) {
        const double size = static_cast<double>(steps[session].state.text.size());
        CHECK(size / static_cast<double>(joined(source).size()) == doctest::Approx(0.25).epsilon(0.1));
        // Every line has a number of its own, so that no line is in two parts.
        for (size_t other = 0; other < session; ++other) {
            const std::string& text = steps[session].state.text;
            CHECK(steps[other].state.text.find(text.substr(0, text.find('\n'))) == std::string::npos);
        }
    }
}

TEST_CASE("a rename is of whole words, in no more than 20 places, and undone by the next step") {
    SourceDocument source = document();
    for (size_t i = 0; i < 12; ++i) {
        source.lines[10 * i] = "    keeper(keeper_of, 1);\n";
    }
    const auto steps = steps_of(source, "rename", 2);
    REQUIRE(steps.size() == 3);
    CHECK(steps[0].state == steps[2].state);
    CHECK(steps[1].state.text.size() == steps[0].state.text.size() + size_t{12} * 4);
    CHECK(steps[0].state.text.substr(steps[0].state.cursor) ==
          steps[1].state.text.substr(steps[1].state.cursor));
    // Either name is in twelve places; "keeper" is not changed inside of "keeper_of", nor the other way
    // round.
    CHECK(steps[1].state.text.find("new_keeper_of(") == std::string::npos);
}

TEST_CASE("moved lines are all still there") {
    const SourceDocument source = document();
    const auto steps = steps_of(source, "move", 1);
    std::string before = steps[0].state.text;
    std::string after = steps[1].state.text;
    CHECK(before != after);
    std::ranges::sort(before);
    std::ranges::sort(after);
    CHECK(before == after);
}

TEST_CASE("what is cut is gone until it is pasted, and the cursor stays in its line") {
    const auto steps = steps_of(document(), "paste", 4);
    REQUIRE(steps.size() == 5);
    const size_t length = steps[0].state.text.size() - steps[1].state.text.size();
    CHECK(length > 100);
    CHECK(steps[2].state.text.size() == steps[0].state.text.size());
    CHECK(steps[2].state.text != steps[0].state.text);
    CHECK(steps[3].state.text.size() < steps[0].state.text.size());
    CHECK(steps[4].state.text != steps[2].state.text);
    for (const WorkloadStep& step : steps) {
        CHECK(step.state.text.substr(step.state.cursor) == steps[0].state.text.substr(steps[0].state.cursor));
    }
}

TEST_CASE("chunks come at the end and go from the front") {
    const auto steps = steps_of(document(), "chunks", 2);
    REQUIRE(steps.size() == 3);
    const auto& first = steps[0].state.chunks;
    REQUIRE(first.size() == 2);
    REQUIRE(steps[1].state.chunks.size() == 3);
    CHECK(steps[1].state.chunks[0] == first[0]);
    REQUIRE(steps[2].state.chunks.size() == 2);
    CHECK(steps[2].state.chunks[0] == first[1]);
    CHECK(steps[2].state.text == steps[0].state.text);
}

} // namespace pie
