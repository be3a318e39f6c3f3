// What is documented of the lab's commands and flags is what the programs take.

#include "cli/program.h"
#include "commands/lab_program.h"
#include "support/documented_commands.h"
#include "support/markdown.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("every flag and example of the lab's documentation is taken") {
    size_t n_examples = 0;
    size_t n_spans = 0;
    for (const auto& document : testing::documents(PIE_PROJECT_FOLDER)) {
        n_examples += testing::check_examples(make_lab_program, document);
    }
    for (const auto& document : testing::lab_documents(PIE_PROJECT_FOLDER)) {
        n_examples += testing::check_examples(make_lab_program, document);
        n_examples += testing::check_examples(make_program, document);
        n_spans += testing::check_spans({make_program, make_lab_program}, document);
    }
    CHECK(n_examples >= 19);
    CHECK(n_spans >= 290);
}

TEST_CASE("what a command of the lab says in its help is taken, and its examples are its own") {
    testing::check_help(make_lab_program);
}

TEST_CASE("a command of the lab that is missing is answered with those that there are") {
    CHECK(testing::refusal(make_lab_program, {}) ==
          "a command is missing: bench, eval, optimize (see 'pie-lab --help')");
}

} // namespace pie
