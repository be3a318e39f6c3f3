#include "eval/cross_file.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace pie {
namespace {

SourceFile made(const std::string& path, const std::string& text) {
    return {path, language_of(path), split_lines(text)};
}

std::vector<std::string> names(const std::vector<Definition>& definitions) {
    std::vector<std::string> found;
    for (const Definition& d : definitions) {
        found.emplace_back(d.name);
    }
    return found;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("statements that import, over several lines where a bracket is open") {
    CHECK(import_lines(
              made("a.py", "import os\nfrom a import (b,\n    c,\n)\nx = from_here(1)\nimportant = 1\n")) ==
          std::vector<bool>{true, true, true, true, false, false});
    CHECK(import_lines(made("A.java", "package a;\nimport a.B;\nclass A {}\n")) ==
          std::vector<bool>{false, true, false});
    CHECK(import_lines(made("a.cpp", "#include \"b.h\"\n#include <vector>\n#define X\n")) ==
          std::vector<bool>{true, true, false});
}

TEST_CASE("imported definitions of the tree, with their lines, in the order of the imports") {
    SourceTree tree;
    tree.files = {
        made("shop/item.py",
             "import os\n\nclass Item:\n    price = 1\n\n    def f(self):\n        pass\n\n\nclass Other:\n"
             "    pass\n"),
        made("shop/tax.py", "def tax(x):\n    return x\nTAX = 1\n"),
        made("shop/cart.py",
             "from shop.tax import tax\nfrom shop.item import (\n    Item,\n)\nimport json\nclass Cart:\n"
             "    pass\n"),
        made("else/item.py", "class Unrelated:\n    pass\n"),
    };
    const DefinitionIndex index(tree);
    const std::vector<Definition> found = index.imported(tree.files[2]);
    CHECK(names(found) == Names{"tax", "Item"});
    CHECK(found[0].lines.begin == 0);
    CHECK(found[0].lines.end == 2);
    CHECK(found[1].file == &tree.files[0]);
    CHECK(found[1].lines.begin == 2);
    CHECK(found[1].lines.end == 7);
    CHECK(index.imported(tree.files[0]).empty());
}

TEST_CASE("Java by the name of the class's file, C++ by the file that is included") {
    SourceTree tree;
    tree.files = {
        made("src/a/Item.java", "package a;\npublic class Item {\n    int x;\n}\n"),
        made("src/b/Cart.java", "import a.Item;\nimport java.util.List;\nclass Cart {\n}\n"),
        made("lib/item.h", "struct Item {\n    int x;\n};\nclass Later;\nenum class Kind { a };\n"),
        made("lib/cart.cpp", "#include \"lib/item.h\"\n#include <vector>\nstruct Cart {};\n"),
    };
    const DefinitionIndex index(tree);
    const std::vector<Definition> java = index.imported(tree.files[1]);
    CHECK(names(java) == Names{"Item"});
    CHECK(java[0].lines.end == 4);
    CHECK(names(index.imported(tree.files[3])) == Names{"Item"});
}

} // namespace pie
