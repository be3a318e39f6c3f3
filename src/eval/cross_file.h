#pragma once

// What a file of a tree imports from other files of it, as far as it can be told without a grammar: a
// definition is a line that begins like one, a statement that imports is one by its first words, and a name
// belongs to the file that the statement names.
//
// Thread rule: immutable once made; any thread may ask. Outlived by the tree.

#include "eval/samples.h"
#include "eval/source_tree.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Of a class or function at the left margin.
struct Definition {
    std::string_view name;
    const SourceFile* file = nullptr;
    LineRange lines; // at most so many that a prompt can hold it
};

// Of each line whether it belongs to a statement that imports.
std::vector<bool> import_lines(const SourceFile& file);

class DefinitionIndex {
  public:
    explicit DefinitionIndex(const SourceTree& tree);

    // Definitions in other files that the file imports, in the order of its imports.
    std::vector<Definition> imported(const SourceFile& file) const;

  private:
    std::multimap<std::string_view, Definition> by_name_;
    std::map<std::string, std::vector<Definition>, std::less<>> by_file_name_; // for textual inclusion
};

} // namespace pie
