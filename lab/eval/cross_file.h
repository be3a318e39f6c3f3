#pragma once

// What a file of a tree imports from other files of it: the statements say which modules and names
// (eval/syntax.h), the modules' files (eval/modules.h) what the names mean. Files are read as they are asked
// for.
//
// Thread rule: one thread at a time. Outlived by the tree.

#include "eval/modules.h"
#include "eval/syntax.h"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace pie {

struct ImportedDefinition {
    std::string name; // in its file
    const SourceFile* file = nullptr;
    LineRange lines;       // at most so many that a prompt can hold it
    NameUse use;           // how the importing file names it
    size_t first_line = 0; // that names it so behind the imports; the number of lines if there is none
};

class CrossFile {
  public:
    explicit CrossFile(const SourceTree& tree) : modules_(tree) {}

    const FileSyntax& syntax_of(const SourceFile& file);

    // In the order of the imports, and then what the package's other files define. Of a module that is
    // imported as a whole, those that the file uses.
    std::vector<ImportedDefinition> imported(const SourceFile& file);

  private:
    Modules modules_;
    std::map<const SourceFile*, FileSyntax> syntax_; // of files read so far
};

} // namespace pie
