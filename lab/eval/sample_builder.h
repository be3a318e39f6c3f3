#pragma once

// Samples from the source files of a tree, as rows of RepoBench's version 1.1: next lines to predict, in its
// three settings. Lines are drawn, the prompt before each is cut to a size in tokens, and what the file
// imports from others of the tree goes in front. The same tree, options and seed give the same samples, and
// those of one language and setting do not depend on what others are asked for. No two samples of a setting
// have the same target, but for white space.
//
// Thread rule: one thread at a time; nothing is shared.

#include "eval/samples.h"
#include "eval/source_tree.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pie {

struct BuildOptions {
    std::string repository;             // its name in the prompts
    std::vector<std::string> languages; // empty: all
    size_t n_samples = 1;               // of each language and setting
    uint64_t seed = 1;
    size_t tokens_min = 512; // of a prompt, counted line by line
    size_t tokens_max = 2048;
};

struct BuiltSamples {
    std::vector<std::string> rows;   // JSON objects; by language and setting, then as drawn
    std::vector<std::string> scarce; // languages and settings of which there are fewer than were asked for
};

// Polls interrupted(). Errors: invalid_argument (a minimum above the maximum, a language that the tree has
// not), cancelled, not_found (not a single sample could be made).
Result<BuiltSamples> build_samples(const SourceTree& tree, const BuildOptions& options,
                                   const TokenCounter& count_tokens);

} // namespace pie
