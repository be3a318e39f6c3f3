#pragma once

// Kinds of edits: how a row's `before` and `after` are made from lines of a source file. In every kind the
// edited prompt is (a part of) the file as it is, so that full recompute is asked the same question whatever
// the kind (PIE, arXiv 2407.03157, appendix A.1).
//
// Left to right, the target is the line behind the prompt:
//   insertion               5 consecutive lines, anywhere, are missing before
//   deletion                before has 5 lines too many at one place, drawn from all files of the language
//   edition                 one of each, at different places
//   contextual-single-N     before lacks a block of N lines around the one that is most like the target
//   contextual-multi-N      before lacks the N lines that are most like the target, wherever they stand
//   rename                  a name of the target that stands at least 3 times above has another name before
// Filling in the middle, the target is the line at the cursor, and stands in neither prompt:
//   typing                  1 to 5 whole lines were typed at the cursor
//   jump                    the cursor moved by 10 to 60 lines
//
// Thread rule: pure functions but for the draws.

#include "eval/random.h"
#include "eval/source_tree.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pie {

enum class PromptShape { left_to_right, fill_in_the_middle };

// A line to complete and the lines around it, as many as the prompt is to have: views into a file.
struct EditSite {
    std::span<const std::string> above;
    std::string_view target;
    std::span<const std::string> below;               // empty left to right
    std::span<const SourceFile* const> same_language; // all files of the tree that are of the file's language
};

struct Edit {
    std::string before;
    std::string after;
};

struct EditKind {
    std::string_view name;
    PromptShape shape = PromptShape::left_to_right;
    // Empty where the site does not allow such an edit.
    std::optional<Edit> (*make)(const EditSite& site, Random& random) = nullptr;
};

std::span<const EditKind> edit_kinds();

// Null where there is none of the name.
const EditKind* find_edit_kind(std::string_view name);

} // namespace pie
