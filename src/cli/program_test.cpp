// What is documented of commands and flags is what the program takes.

#include "cli/program.h"
#include "support/markdown.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

using Words = std::vector<std::string>;

Result<CommandRun> parsed(const Words& words) {
    std::vector<const char*> arguments;
    for (const std::string& word : words) {
        arguments.push_back(word.c_str());
    }
    return parse_arguments(arguments);
}

std::string refusal(const Words& words) {
    const auto run = parsed(words);
    CAPTURE(words);
    REQUIRE_FALSE(run);
    CHECK(run.error().code == ErrorCode::invalid_argument);
    return run.error().message;
}

// Up to a comment.
Words words_of(const std::string& line) {
    std::istringstream text(line.substr(0, line.find(" #")));
    Words words;
    for (std::string word; text >> word;) {
        words.push_back(word);
    }
    return words;
}

Words flags_in(const std::string& text) {
    static const std::regex flag(R"((?:^|[\s(,/])(--?[A-Za-z][A-Za-z0-9-]*))");
    Words flags;
    for (std::sregex_iterator found(text.begin(), text.end(), flag); found != std::sregex_iterator();
         ++found) {
        flags.push_back((*found)[1]);
    }
    return flags;
}

bool takes(const CLI::App& command, const std::string& flag) {
    const bool is_spelled_with_one_dash = flag.size() > 2 && flag[1] != '-';
    return is_spelled_with_one_dash ? parsed({command.get_name(), flag, "1"}).has_value()
                                    : command.get_option_no_throw(flag) != nullptr;
}

void for_each_command(const CLI::App& app, const Words& path,
                      const std::function<void(const CLI::App&, const Words&)>& visit) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        Words its_path = path;
        its_path.push_back(command->get_name());
        visit(*command, its_path);
        for_each_command(*command, its_path, visit);
    }
}

bool is_taken_by_any(const CLI::App& program, const std::string& flag) {
    bool is_taken = takes(program, flag);
    for_each_command(program, {},
                     [&](const CLI::App& command, const Words&) { is_taken |= takes(command, flag); });
    return is_taken;
}

// An example, without the program's name; empty: the text is none.
Words example_in(const std::string& text) {
    Words words = words_of(text);
    const bool is_example = words.size() > 1 && (words[0] == "pie" || words[0] == "build/release/bin/pie") &&
                            std::ranges::all_of(words[1], [](char c) { return c >= 'a' && c <= 'z'; });
    words.erase(words.begin(), words.begin() + (is_example ? 1 : static_cast<ptrdiff_t>(words.size())));
    return words;
}

// Flags of other programs, and of the pie of a commit that docs/fidelity.md names.
constexpr std::array<std::string_view, 9> others_flags = {
    "-b",       "-ub",           "--cache-reuse", "--parallel", "--slot-save-path",
    "-fno-dse", "-fno-tree-dse", "--kind",        "--rows"};
bool is_of_former_commit(const Words& example) {
    return example[0] == "eval" && (example[1] == "rows.jsonl" || example[2] == "--from");
}

void check_span(const CLI::App& program, const std::string& span) {
    CAPTURE(span);
    if (span.starts_with('-')) {
        for (const std::string& flag : flags_in(span)) {
            CAPTURE(flag);
            CHECK((std::ranges::find(others_flags, flag) != others_flags.end() ||
                   is_taken_by_any(program, flag)));
        }
        return;
    }
    const Words example = example_in(span);
    const CLI::App* command = &program;
    for (const std::string& word : example) {
        if (command->get_subcommands([](const CLI::App*) { return true; }).empty() || word.starts_with('-')) {
            break;
        }
        command = command->get_subcommand(word); // throws where there is none
    }
    for (const std::string& flag : flags_in(example.empty() ? "" : span)) {
        CAPTURE(flag);
        CHECK(takes(*command, flag));
    }
}

} // namespace

TEST_CASE("every flag and example of the documentation is taken") {
    CommandRun run;
    const auto program = make_program(run);
    size_t n_examples = 0;
    size_t n_spans = 0;
    for (const auto& document : testing::documents(PIE_PROJECT_FOLDER)) {
        CAPTURE(document.string());
        const testing::MarkdownCode code = testing::code_in_markdown(document);
        for (const std::string& line : code.lines) {
            const Words example = example_in(line);
            if (!example.empty() && !is_of_former_commit(example)) {
                CAPTURE(line);
                const auto taken = parsed(example);
                CAPTURE(taken ? "" : taken.error().message);
                CHECK(taken);
                ++n_examples;
            }
        }
        for (const auto& spans : code.spans) {
            for (const std::string& span : spans) {
                check_span(*program, span);
                ++n_spans;
            }
        }
    }
    CHECK(n_examples > 20);
    CHECK(n_spans > 300);
}

TEST_CASE("what a command's help names is taken, and its examples are its own") {
    CommandRun run;
    const auto program = make_program(run);
    for_each_command(*program, {}, [&](const CLI::App& command, const Words& path) {
        CAPTURE(path);
        for (const std::string& flag : flags_in(command.help())) {
            CAPTURE(flag);
            CHECK(is_taken_by_any(*program, flag));
        }
        std::istringstream footer(command.get_footer());
        bool has_own = path.size() > 1;
        for (std::string line; std::getline(footer, line);) {
            const Words example = example_in(line);
            if (!example.empty()) {
                CAPTURE(line);
                CHECK(parsed(example));
                CHECK(example[0] == path[0]);
                has_own = true;
            }
        }
        CHECK(has_own);
    });
}

TEST_CASE("flags as other programs for local models spell them") {
    CHECK(parsed({"complete", "a.py:1:1", "-ngl", "99", "-hf", "user/repo:Q4_K_M"}));
    CHECK(parsed({"serve", "-ngl", "0"}));
}

TEST_CASE("help is asked for in every way") {
    for (const Words& words : {Words{"help"}, Words{"--help"}, Words{"help", "serve"},
                               Words{"serve", "--help"}, Words{"help", "model", "pull"}}) {
        CAPTURE(words);
        CHECK(parsed(words));
    }
}

TEST_CASE("a command that is missing, or is none, is answered with those that there are") {
    CHECK(refusal({}) ==
          "a command is missing: complete, edit, demo, bench, eval, model, serve (see 'pie --help')");
    CHECK(refusal({"model"}) == "a command is missing: list, pull, path, optimize (see 'pie model --help')");
    CHECK(refusal({"complet"}) ==
          "there is no command 'pie complet'; did you mean 'complete'? (see 'pie --help')");
    CHECK(refusal({"compelte", "a.py:1:1"}) ==
          "there is no command 'pie compelte'; did you mean 'complete'? (see 'pie --help')");
    CHECK(refusal({"model", "lst"}) ==
          "there is no command 'pie model lst'; did you mean 'list'? (see 'pie model --help')");
    CHECK(refusal({"nonsense"}) == "there is no command 'pie nonsense' (see 'pie --help')");
    const std::string flag = refusal({"serve", "--snapshot", "x"});
    CHECK(flag.find("did you mean '--snapshots'?") != std::string::npos);
    CHECK(flag.find("(see 'pie serve --help')") != std::string::npos);
}

TEST_CASE("what a value may be is said in words and numbers that can be read") {
    CHECK(refusal({"complete", "a.py:1:1", "--temp", "-1"}) ==
          "--temp: '-1' is no number from 0 on (see 'pie complete --help')");
    CHECK(refusal({"complete", "a.py:1:1", "--temp", "nan"}).find("no number from 0 on") !=
          std::string::npos);
    CHECK(refusal({"edit", "a", "b", "--at", "1:1", "--method", "magic"}) ==
          "--method: 'magic' is none of cfe, full, pie, pie+seam, reuse (see 'pie edit --help')");
    CHECK(refusal({"serve", "--cache-ram", "0"}).find("1000000000") != std::string::npos);
    CommandRun run;
    const auto program = make_program(run);
    for_each_command(*program, {}, [](const CLI::App& command, const Words& path) {
        CAPTURE(path);
        const std::string help = command.help();
        CHECK(help.find("->") == std::string::npos);
        CHECK_FALSE(std::regex_search(help, std::regex("[0-9]{12}")));
    });
}

} // namespace pie
