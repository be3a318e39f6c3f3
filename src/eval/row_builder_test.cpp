#include "eval/row_builder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace pie {
namespace {

constexpr size_t bytes_a_token = 4;

size_t count_tokens(std::string_view text) {
    return text.size() / bytes_a_token + 1;
}

SourceTree made_tree() {
    std::mt19937 random(5);
    SourceTree tree;
    for (const std::string path : {"a.py", "b.py", "c.cpp", "short.py", "empty.py"}) {
        SourceFile file{path, language_of(path), {}};
        const size_t n_lines = path == "empty.py" ? 0 : path == "short.py" ? 6 : 300;
        for (size_t i = 0; i < n_lines; ++i) {
            const auto word = [&] { return path.substr(0, 1) + "_word_" + std::to_string(random() % 40); };
            file.lines.push_back(i % 7 == 3   ? "\n"
                                 : i % 7 == 5 ? (path == "c.cpp" ? "// note\n" : "# note\n")
                                              : "    " + word() + " = " + word() + " + " + word() + "\n");
        }
        tree.files.push_back(std::move(file));
    }
    return tree;
}

BuildOptions options_of(std::vector<std::string> kinds) {
    return {.kinds = std::move(kinds), .n_rows = 12, .seed = 3, .tokens_min = 200, .tokens_max = 500};
}

std::vector<std::string> all_kinds() {
    std::vector<std::string> names;
    for (const EditKind& kind : edit_kinds()) {
        names.emplace_back(kind.name);
    }
    return names;
}

BuiltRows built(const BuildOptions& options) {
    auto rows = build_rows(made_tree(), options, count_tokens);
    REQUIRE(rows.has_value());
    return *std::move(rows);
}

std::vector<std::string> lines_of_rows(const BuiltRows& rows) {
    std::vector<std::string> lines;
    std::ranges::transform(rows.rows, std::back_inserter(lines), row_line);
    return lines;
}

} // namespace

TEST_CASE("rows of all kinds: sizes within the bounds, targets that are code and of their kind once") {
    const BuiltRows rows = built(options_of(all_kinds()));
    CHECK(rows.scarce.empty());
    CHECK(rows.rows.size() == 12 * edit_kinds().size());
    std::set<std::string> ids;
    std::map<std::string, std::set<std::string>> targets;
    for (const EvalRow& row : rows.rows) {
        CAPTURE(row.id);
        CHECK(ids.insert(row.id).second);
        CHECK(targets[row.kind].insert(std::string(trimmed(row.target))).second);
        CHECK(row.id.starts_with(row.kind + ":"));
        CHECK(row.language == (row.id.find("c.cpp") == std::string::npos ? "python" : "cpp"));
        CHECK(row.target.find(" = ") != std::string::npos);
        CHECK(!row.before.empty());
        // Each line counts as a token more than its share of bytes, and the markers count for nothing.
        const auto n_lines = static_cast<size_t>(std::ranges::count(row.after, '\n'));
        const size_t tokens_at_most = row.after.size() / bytes_a_token + n_lines;
        CHECK(tokens_at_most >= 200);
        CHECK(row.after.size() / bytes_a_token <= 500);
    }
}

TEST_CASE("equal seeds give equal rows, other seeds others, and kinds do not disturb each other") {
    const BuiltRows all = built(options_of(all_kinds()));
    CHECK(lines_of_rows(all) == lines_of_rows(built(options_of(all_kinds()))));
    BuildOptions other = options_of(all_kinds());
    other.seed = 4;
    CHECK(lines_of_rows(all) != lines_of_rows(built(other)));
    std::vector<std::string> renames;
    for (const EvalRow& row : all.rows) {
        if (row.kind == "rename") {
            renames.push_back(row_line(row));
        }
    }
    CHECK(renames == lines_of_rows(built(options_of({"rename"}))));
}

TEST_CASE("the target is the file's line behind the prompt, left to right") {
    const SourceTree tree = made_tree();
    for (const EvalRow& row : built(options_of({"insertion", "contextual-multi-5"})).rows) {
        CAPTURE(row.id);
        bool found = false;
        for (const SourceFile& file : tree.files) {
            std::string text;
            for (const std::string& line : file.lines) {
                text += line;
            }
            found = found || text.find(row.after + row.target) != std::string::npos;
        }
        CHECK(found);
    }
}

TEST_CASE("what cannot be had is said") {
    const auto error_of = [](const BuildOptions& options) {
        const auto rows = build_rows(made_tree(), options, count_tokens);
        REQUIRE(!rows.has_value());
        return rows.error();
    };
    CHECK(error_of(options_of({"insertion", "magic"})).code == ErrorCode::invalid_argument);
    CHECK(error_of(options_of({"insertion", "magic"})).message.find("contextual-single-5") !=
          std::string::npos);
    BuildOptions reversed = options_of({"insertion"});
    std::swap(reversed.tokens_min, reversed.tokens_max);
    CHECK(error_of(reversed).code == ErrorCode::invalid_argument);
    BuildOptions huge = options_of({"insertion"});
    huge.tokens_min = 1'000'000;
    huge.tokens_max = 2'000'000;
    CHECK(error_of(huge).code == ErrorCode::not_found);
    BuildOptions many = options_of({"deletion", "insertion"});
    many.n_rows = 2000;
    CHECK(built(many).scarce == std::vector<std::string>{"deletion", "insertion"});
}

} // namespace pie
