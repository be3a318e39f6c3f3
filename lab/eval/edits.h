#pragma once

// Kinds of edits: how a row's `before` and `after` are made from a sample. In every kind the edited prompt is
// the sample's own, so that full recompute is asked the same question whatever the kind (PIE, arXiv
// 2407.03157, appendix A.1).
//
// Left to right, the target is the line behind the prompt:
//   insertion               5 consecutive lines, anywhere, are missing before
//   insertion-3             the same with 3
//   deletion                before has 5 lines too many at one place, drawn from samples of the language
//   edition                 one of each, at different places
//   contextual-single-N     before lacks a block of N lines around the one that is most like the target
//   contextual-multi-N      before lacks the N lines that are most like the target, wherever they stand
//   rename                  a name of the target that stands at least 3 times above has another name before
//   ring                    a snippet of another file is new, and the oldest one went
// Filling in the middle, the target is the line at the cursor, and stands in neither prompt:
//   typing                  1 to 5 whole lines were typed at the cursor
//   keystrokes-N            the last N characters before the cursor were typed one by one
//   jump                    the cursor moved by 10 to 60 lines
//
// Thread rule: pure functions but for the draws.

#include "eval/random.h"
#include "eval/samples.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Prompts of all samples of a language: what foreign lines and names are drawn from.
using LinePool = std::vector<std::span<const std::string>>;

struct EditSite {
    const Sample& sample;
    const LinePool& pool;
};

struct Edit {
    std::string before;
    std::string after;
    std::vector<std::string> steps = {}; // prompts between the two, for what is typed key by key
};

struct EditKind {
    std::string_view name;
    // Empty where the site does not allow such an edit.
    std::optional<Edit> (*make)(const EditSite& site, Random& random) = nullptr;
};

std::span<const EditKind> edit_kinds();

// Null where there is none of the name.
const EditKind* find_edit_kind(std::string_view name);

} // namespace pie
