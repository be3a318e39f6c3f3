#include "eval/repobench.h"
#include "eval/sample_builder.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

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

const TokenCounter word_counter = count_tokens;

// Two Python files of which one imports the other's names, one in C++ without any, and odd ones.
SourceTree made_tree() {
    std::mt19937 random(5);
    SourceTree tree;
    for (const std::string path : {"pkg/user.py", "pkg/tools.py", "c.cpp", "short.py", "empty.py"}) {
        SourceFile file{path, language_of(path), {}};
        if (path == "pkg/user.py") {
            file.lines.emplace_back("from pkg.tools import tool_1, tool_2, tool_3\n");
        }
        for (int i = 0; path == "pkg/tools.py" && i < 10; ++i) {
            file.lines.push_back("def tool_" + std::to_string(i) + "(x):\n");
            file.lines.insert(file.lines.end(), 12, "    x = x + 1\n"); // three of them need not fit
            file.lines.emplace_back("    return x\n");
        }
        const size_t n_lines = path == "empty.py" ? 0 : path == "short.py" ? 6 : 400;
        for (size_t i = 0; i < n_lines; ++i) {
            const auto word = [&] { return "word_" + std::to_string(random() % 900); };
            const std::string tool = "tool_" + std::to_string(1 + random() % 3);
            file.lines.push_back(i % 7 == 3   ? "\n"
                                 : i % 7 == 5 ? (path == "c.cpp" ? "// note\n" : "# note\n")
                                 : i % 7 == 6 && i > 120
                                     ? "    " + word() + " = " + tool + "(" + word() + ")\n"
                                     : "    " + word() + " = " + word() + " + " + word() + "\n");
        }
        tree.files.push_back(std::move(file));
    }
    return tree;
}

BuildOptions options() {
    return {.repository = "made",
            .languages = {},
            .n_samples = 8,
            .seed = 3,
            .tokens_min = 200,
            .tokens_max = 500};
}

BuiltSamples built(const BuildOptions& wanted) {
    auto samples = build_samples(made_tree(), wanted, count_tokens);
    REQUIRE(samples.has_value());
    return *std::move(samples);
}

std::string text_of(const std::vector<std::string>& lines) {
    return joined(lines);
}

} // namespace

TEST_CASE("samples of all settings: sizes within the bounds, targets that are code, and once") {
    const BuiltSamples samples = built(options());
    std::map<std::string, std::set<std::string>> targets;
    std::set<std::string> ids;
    for (const std::string& line : samples.rows) {
        const nlohmann::json row = nlohmann::json::parse(line);
        REQUIRE(is_repobench_row(row));
        const auto sample = repobench_sample(row, {100'000, word_counter});
        REQUIRE(sample.has_value());
        CAPTURE(sample->id);
        CHECK(ids.insert(sample->id).second);
        CHECK(
            targets[sample->language + sample->setting].insert(std::string(trimmed(sample->target))).second);
        CHECK(sample->target.find(" = ") != std::string::npos);
        const size_t n_tokens = row["token_num"];
        CHECK(n_tokens >= 200);
        CHECK(n_tokens <= 500);
        CHECK(row["level"] == "2k");
        const bool uses_tool = sample->target.find("tool_") != std::string::npos;
        const bool is_user = row["file_path"] == "pkg/user.py";
        CHECK((sample->setting == "in_file") == !(uses_tool && is_user));
        CHECK(row["context"].empty() == !is_user);
        const bool knows_tool = std::ranges::any_of(row["context"], [&](const nlohmann::json& snippet) {
            return sample->target.find(snippet["identifier"]) != std::string::npos;
        });
        CHECK(knows_tool == (uses_tool && is_user));
        // The prompt ends with the file's lines before the target, and what follows it is known.
        const std::string whole = row["all_code"];
        const std::string code = row["cropped_code"];
        CHECK(whole.find(code + sample->target) != std::string::npos);
        const size_t next = whole.find(code + sample->target) + code.size() + sample->target.size();
        CHECK(whole.substr(next).starts_with(text_of(sample->below)));
    }
    CHECK(targets["pythonin_file"].size() == 8);
    CHECK(targets["pythoncross_file_random"].size() == 8);
    CHECK(targets["cppin_file"].size() == 8);
    // Three names have three first uses at the most, and C++ has no imports at all.
    CHECK(targets["pythoncross_file_first"].size() <= 3);
    CHECK(std::ranges::count(samples.scarce, "cpp cross_file_first") == 1);
    CHECK(std::ranges::count(samples.scarce, "python in_file") == 0);
}

TEST_CASE("equal seeds give equal samples, other seeds others, and languages do not disturb each other") {
    const std::vector<std::string> all = built(options()).rows;
    CHECK(all == built(options()).rows);
    BuildOptions other = options();
    other.seed = 4;
    CHECK(all != built(other).rows);
    BuildOptions python = options();
    python.languages = {"python"};
    for (const std::string& line : built(python).rows) {
        CHECK(std::ranges::find(all, line) != all.end());
    }
}

TEST_CASE("what cannot be had is said") {
    const auto error_of = [](const BuildOptions& wanted) {
        const auto samples = build_samples(made_tree(), wanted, count_tokens);
        REQUIRE(!samples.has_value());
        return samples.error();
    };
    BuildOptions magic = options();
    magic.languages = {"python", "magic"};
    CHECK(error_of(magic).code == ErrorCode::invalid_argument);
    BuildOptions reversed = options();
    std::swap(reversed.tokens_min, reversed.tokens_max);
    CHECK(error_of(reversed).code == ErrorCode::invalid_argument);
    BuildOptions huge = options();
    huge.tokens_min = 1'000'000;
    huge.tokens_max = 2'000'000;
    CHECK(error_of(huge).code == ErrorCode::not_found);
}

} // namespace pie
