// A history told by a stand-in for git: two contents by name, and what its log prints of them.

#include "eval/git_history.h"
#include "eval/source_tree.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace pie {
namespace {

size_t count_lines(std::string_view text) {
    return static_cast<size_t>(std::ranges::count(text, '\n'));
}

const TokenCounter line_counter = count_lines; // a line is a token

std::string numbered(int begin, int end) {
    std::string text;
    for (int i = begin; i < end; ++i) {
        text += "line_" + std::to_string(i) + " = 1\n";
    }
    return text;
}

struct History {
    std::string log;
    std::map<std::string, std::string> blobs;

    void change(const std::string& path, const std::string& before, const std::string& after) {
        const std::string number = std::to_string(blobs.size());
        blobs["b" + number] = before;
        blobs["a" + number] = after;
        log += "commit 0123456789abcdef" + number + "\n\n:100644 100644 b" + number + " a" + number + " M\t" +
               path + "\n";
    }
    Git git() const {
        return [this](const std::vector<std::string>& arguments) -> Result<std::string> {
            return arguments.front() == "log" ? log : blobs.at(arguments.back());
        };
    }
};

HistoryOptions options(size_t n_rows) {
    return {.languages = {}, .n_rows = n_rows, .seed = 1, .tokens_min = 20, .tokens_max = 60};
}

} // namespace

TEST_CASE("before and after are a commit's, cut at a line of code behind the last change") {
    History history;
    history.change("a.py", numbered(0, 60) + "old = 1\n" + numbered(60, 90),
                   numbered(0, 60) + "new = 2\nsecond = 3\n" + numbered(60, 90));
    history.change("notes.txt", "a\n", "b\n");
    history.change("b.java", numbered(0, 47) + numbered(50, 90), numbered(0, 90));
    const auto rows = rows_of_history(history.git(), options(9), line_counter);
    REQUIRE(rows.has_value());
    REQUIRE(rows->size() == 2);
    const EvalRow& row = rows->at(0);
    CHECK(row.id == "commit:0123456789ab:a.py");
    CHECK(row.kind == "commit");
    CHECK(row.language == "python");
    CHECK(row.before.find("old = 1") != std::string::npos);
    CHECK(row.before.find("new = 2") == std::string::npos);
    CHECK(row.after.find("new = 2\nsecond = 3\n") != std::string::npos);
    for (const EvalRow& each : *rows) {
        CHECK(history.blobs[each.id.ends_with("a.py") ? "a0" : "a4"].find(each.after + each.target) !=
              std::string::npos);
        CHECK(history.blobs[each.id.ends_with("a.py") ? "b0" : "b4"].find(each.before + each.target) !=
              std::string::npos);
        CHECK(count_lines(each.before) >= 20);
        CHECK(count_lines(each.after) <= 60);
        // The last line before the target is unchanged, or the change itself.
        CHECK(each.before != each.after);
    }
    CHECK(rows_of_history(history.git(), options(1), line_counter)->size() == 1);
    HistoryOptions java = options(9);
    java.languages = {"java"};
    CHECK(rows_of_history(history.git(), java, line_counter)->size() == 1);
}

TEST_CASE("what a row cannot hold is passed over") {
    History history;
    history.change("a.py", numbered(0, 60) + "x\xE9\n" + numbered(60, 90), numbered(0, 90));
    history.change("b.py", numbered(0, 60) + "x = '<MID>'\n" + numbered(60, 90), numbered(0, 90));
    history.change("c.py", numbered(0, 5), numbered(0, 4)); // nothing behind the change
    history.change("d.py", numbered(0, 90),
                   numbered(0, 10) + numbered(200, 300) + numbered(80, 90)); // too large
    const auto rows = rows_of_history(history.git(), options(9), line_counter);
    REQUIRE(!rows.has_value());
    CHECK(rows.error().code == ErrorCode::not_found);
    const Git broken = [](const std::vector<std::string>&) -> Result<std::string> {
        return fail(ErrorCode::internal, "git failed");
    };
    CHECK(rows_of_history(broken, options(1), line_counter).error().message == "git failed");
}

} // namespace pie
