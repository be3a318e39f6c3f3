#pragma once

// Real edits: what the commits of a repository changed in its files. The text before and after a commit is
// cut behind the last change, at a line of code that both have, which is to be predicted.
//
// Thread rule: one thread at a time.

#include "eval/rows.h"
#include "eval/samples.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace pie {

// Runs git with these arguments in the repository, and gives what it writes.
using Git = std::function<Result<std::string>(const std::vector<std::string>& arguments)>;

struct HistoryOptions {
    std::vector<std::string> languages; // empty: all
    size_t n_rows = 1;
    uint64_t seed = 1;       // of the lines to predict, and of the prompts' sizes
    size_t tokens_min = 512; // of either prompt, counted line by line
    size_t tokens_max = 2048;
};

// From the newest commit back, one row a changed file; fewer than are asked for where the history ends. Polls
// interrupted(). Errors: those of `git`, cancelled, not_found (not a single row).
Result<std::vector<EvalRow>> rows_of_history(const Git& git, const HistoryOptions& options,
                                             const TokenCounter& count_tokens);

} // namespace pie
