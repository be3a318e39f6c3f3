#pragma once

// Rows from the source files of a tree: lines to complete are drawn, the prompt around each is cut to a size
// in tokens, and an edit of the wanted kind is made in it. The same tree, options and seed give the same
// rows, and the rows of one kind do not depend on what other kinds are asked for. No two rows of a kind have
// the same target, but for white space.
//
// Thread rule: one thread at a time; nothing is shared.

#include "eval/edits.h"
#include "eval/rows.h"
#include "eval/source_tree.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct BuildOptions {
    std::vector<std::string> kinds; // names of edit_kinds()
    size_t n_rows = 1;              // of each kind
    uint64_t seed = 1;
    size_t tokens_min = 512; // of the edited prompt, counted line by line
    size_t tokens_max = 2048;
};

struct BuiltRows {
    std::vector<EvalRow> rows;       // by kind in the options' order, then as drawn
    std::vector<std::string> scarce; // kinds of which the tree gave fewer rows than were asked for
};

using TokenCounter = std::function<size_t(std::string_view text)>;

// Polls interrupted(). Errors: invalid_argument (no kind of the name, a minimum above the maximum),
// cancelled, not_found (not a single row could be made).
Result<BuiltRows> build_rows(const SourceTree& tree, const BuildOptions& options,
                             const TokenCounter& count_tokens);

} // namespace pie
