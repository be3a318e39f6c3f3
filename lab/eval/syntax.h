#pragma once

// What a file's syntax tree (eval/grammar.h) says of its lines: which import, which are code worth
// completing, what they define and which names they use. Of a language without a grammar nothing is known.
// Files with errors are read as far as the grammar can follow them.
//
// Thread rule: pure functions.

#include "eval/samples.h"
#include "eval/source_tree.h"

#include <compare>
#include <string>
#include <vector>

namespace pie {

// What a statement takes from a module.
struct Import {
    std::string module;     // as it is written, delimiters included
    std::string name;       // of what is taken out of it; empty: the module itself
    std::string local_name; // what that is called here; empty where the statement does not say it
    bool takes_all = false; // every name of the module becomes one of this file
};

// Something with a name that other files may import; neither inside a function nor inside a class.
struct Definition {
    std::string name;
    LineRange lines;
};

struct NameUse {
    std::string name;
    std::string object; // what it is looked up in, as in `object.name`; empty for a name by itself

    auto operator<=>(const NameUse&) const = default;
};

struct FileSyntax {
    std::vector<bool> is_import;             // of each line: of a statement at the left margin that imports
    std::vector<bool> is_code;               // of each line; see code_lines()
    std::vector<std::vector<NameUse>> names; // of each line, from left to right
    std::vector<Import> imports;             // in their order
    std::vector<Definition> definitions;     // in their order
};

FileSyntax read_syntax(const SourceFile& file);

// Of each line whether it is worth completing: it holds a word outside of comments and strings, begins in
// neither, does not import, and has at least three characters.
std::vector<bool> code_lines(const SourceFile& file);

} // namespace pie
