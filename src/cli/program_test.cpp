// What is documented of commands and flags is what the program takes.

#include "cli/program.h"
#include "support/documented_commands.h"
#include "support/markdown.h"

#include <doctest/doctest.h>

#include <memory>
#include <regex>
#include <string>

namespace pie {

using testing::for_each_command;
using testing::parsed;
using testing::refusal;
using testing::Words;

TEST_CASE("every flag and example of the documentation is taken") {
    size_t n_examples = 0;
    size_t n_spans = 0;
    for (const auto& document : testing::documents(PIE_PROJECT_FOLDER)) {
        n_examples += testing::check_examples(make_program, document);
        n_spans += testing::check_spans({make_program}, document);
    }
    CHECK(n_examples >= 9);
    CHECK(n_spans > 200);
}

TEST_CASE("what a command's help names is taken, and its examples are its own") {
    testing::check_help(make_program);
}

TEST_CASE("flags as other programs for local models spell them") {
    CHECK(parsed(make_program, {"complete", "a.py:1:1", "-ngl", "99", "-hf", "user/repo:Q4_K_M"}));
    CHECK(parsed(make_program, {"serve", "-ngl", "0"}));
}

TEST_CASE("help is asked for in every way") {
    for (const Words& words : {Words{"help"}, Words{"--help"}, Words{"help", "serve"},
                               Words{"serve", "--help"}, Words{"help", "model", "pull"}}) {
        CAPTURE(words);
        CHECK(parsed(make_program, words));
    }
}

TEST_CASE("a command that is missing, or is none, is answered with those that there are") {
    CHECK(refusal(make_program, {}) ==
          "a command is missing: complete, edit, demo, model, serve (see 'pie --help')");
    CHECK(refusal(make_program, {"model"}) ==
          "a command is missing: list, pull, path (see 'pie model --help')");
    CHECK(refusal(make_program, {"complet"}) ==
          "there is no command 'pie complet'; did you mean 'complete'? (see 'pie --help')");
    CHECK(refusal(make_program, {"compelte", "a.py:1:1"}) ==
          "there is no command 'pie compelte'; did you mean 'complete'? (see 'pie --help')");
    CHECK(refusal(make_program, {"model", "lst"}) ==
          "there is no command 'pie model lst'; did you mean 'list'? (see 'pie model --help')");
    CHECK(refusal(make_program, {"nonsense"}) == "there is no command 'pie nonsense' (see 'pie --help')");
    const std::string flag = refusal(make_program, {"serve", "--snapshot", "x"});
    CHECK(flag.find("did you mean '--snapshots'?") != std::string::npos);
    CHECK(flag.find("(see 'pie serve --help')") != std::string::npos);
}

TEST_CASE("what a value may be is said in words and numbers that can be read") {
    CHECK(refusal(make_program, {"complete", "a.py:1:1", "--temp", "-1"}) ==
          "--temp: '-1' is no number from 0 on (see 'pie complete --help')");
    CHECK(refusal(make_program, {"complete", "a.py:1:1", "--temp", "nan"}).find("no number from 0 on") !=
          std::string::npos);
    CHECK(refusal(make_program, {"edit", "a", "b", "--at", "1:1", "--method", "magic"}) ==
          "--method: 'magic' is none of cfe, full, pie, pie+seam, reuse (see 'pie edit --help')");
    CHECK(refusal(make_program, {"serve", "--cache-ram", "0"}).find("1000000000") != std::string::npos);
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
