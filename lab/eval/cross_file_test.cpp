// What files of small trees import from each other, worked out by hand.

#include "eval/cross_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pie {
namespace {

using Names = std::vector<std::string>;

SourceFile made(const std::string& path, const std::string& text) {
    return {path, language_of(path), split_lines(text)};
}

// As "file:definition", in the order in which they were found.
Names imported(const SourceTree& tree, const std::string& path) {
    const auto file = std::ranges::find(tree.files, path, &SourceFile::path);
    REQUIRE(file != tree.files.end());
    CrossFile cross_file(tree);
    Names found;
    for (const ImportedDefinition& d : cross_file.imported(*file)) {
        found.push_back(d.file->path + ":" + d.name);
    }
    return found;
}

} // namespace

TEST_CASE("Python: names, with their lines and their first use, in the order of the imports") {
    SourceTree tree;
    tree.files = {
        made("shop/item.py",
             "import os\n\n@final\nclass Item:\n    price = 1\n\n    def f(self):\n        pass\n\n\n"
             "class Other:\n    pass\n"),
        made("shop/tax.py", "def tax(x):\n    return x\nTAX = 1\n"),
        made("shop/cart.py", "\"\"\"\nfrom shop.item import Other\n\"\"\"\n"
                             "from shop.tax import tax as levy\nfrom .item import (  # Other,\n    Item,\n)\n"
                             "import json\nclass Cart:\n    levies = \"levy\"  # levy\n    tax.levy(levy=1)\n"
                             "    x = levy(Item)\n    y = levy(2)\n"),
        made("else/item.py", "class Item:\n    pass\n"),
    };
    CrossFile cross_file(tree);
    const std::vector<ImportedDefinition> found = cross_file.imported(tree.files[2]);
    REQUIRE(found.size() == 2);
    CHECK(found[0].name == "tax");
    CHECK(found[0].use == NameUse{"levy", ""});
    CHECK(found[0].lines.begin == 0);
    CHECK(found[0].lines.end == 2);
    CHECK(found[0].first_line == 11);
    CHECK(found[1].file == &tree.files[0]);
    CHECK(found[1].lines.begin == 2);
    CHECK(found[1].lines.end == 8);
    CHECK(found[1].first_line == 11);
    CHECK(cross_file.imported(tree.files[0]).empty());
}

TEST_CASE("Python: modules as a whole, and names that packages pass on") {
    SourceTree tree;
    tree.files = {
        made("shop/__init__.py", "from .cart import Cart as Basket\nfrom .tax import *\n"),
        made("shop/cart.py", "class Cart:\n    pass\ndef empty():\n    pass\n"),
        made("shop/tax.py", "def tax(x):\n    return x\ndef untold(x):\n    return x\n"),
        made("a.py", "from shop import Basket, tax, Nothing\n"),
        made("b.py", "import shop.tax\nfrom shop import cart as c\nx = shop.tax.tax(c.Cart(), y.empty())\n"),
        made("d.py", "import shop as s\ndef tax():\n    pass\nx = s.Basket(tax())\n"),
        made("c.py", "from shop.tax import *\ntext = 'untold'\nx = tax(1)\n"),
    };
    CHECK(imported(tree, "a.py") == Names{"shop/cart.py:Cart", "shop/tax.py:tax"});
    CHECK(imported(tree, "b.py") == Names{"shop/tax.py:tax", "shop/cart.py:Cart"});
    CHECK(imported(tree, "c.py") == Names{"shop/tax.py:tax"});
    CHECK(imported(tree, "d.py") == Names{"shop/cart.py:Cart"});
}

TEST_CASE("Java: classes by name, of packages those that are used, and the package's own") {
    SourceTree tree;
    tree.files = {
        made("src/a/Item.java", "package a;\npublic class Item {\n    static int of() { return 1; }\n}\n"),
        made("src/a/Price.java", "package a;\nclass Price {}\n"),
        made("src/a/Unused.java", "package a;\nclass Unused {}\n"),
        made("src/b/Cart.java",
             "package b;\nimport a.Item;\nimport java.util.List;\n// import a.Unused;\nclass Cart {\n"
             "    Friend f = new Friend(\"Stranger\");\n}\n"),
        made("src/b/Friend.java", "package b;\nimport a.*;\nclass Friend { Price p; }\n"),
        made("src/b/Stranger.java",
             "package b;\nimport static a.Item.of;\nclass Stranger { int x = of(); }\n"),
    };
    CHECK(imported(tree, "src/b/Cart.java") == Names{"src/a/Item.java:Item", "src/b/Friend.java:Friend"});
    CHECK(imported(tree, "src/b/Friend.java") == Names{"src/a/Price.java:Price"});
    CHECK(imported(tree, "src/b/Stranger.java") == Names{"src/a/Item.java:Item"});
    CHECK(imported(tree, "src/a/Price.java").empty());
}

TEST_CASE("C++: of an included file what is used, C's included") {
    SourceTree tree;
    tree.files = {
        made("lib/item.h",
             "struct Item {\n    int x;\n};\nclass Later;\nenum class Kind { a };\nint tax(Item i);\n"),
        made("lib/cart.cpp",
             "#include \"lib/item.h\"\n#include <vector>\n/* Kind */\nint n = tax(Item{});\n"),
        made("lib/item.cpp", "#include \"item.h\"\nint tax(Item i) {\n    return i.x;\n}\n"),
        made("lib/none.cpp", "// #include \"lib/item.h\"\nint n = tax(Item{});\n"),
    };
    CHECK(imported(tree, "lib/cart.cpp") == Names{"lib/item.h:tax", "lib/item.h:Item"});
    CHECK(imported(tree, "lib/item.cpp") == Names{"lib/item.h:Item"}); // the other is its own
    CHECK(imported(tree, "lib/none.cpp").empty());
}

TEST_CASE("JavaScript, Go and Rust") {
    SourceTree tree;
    tree.files = {
        made("js/shop.js",
             "export function tax(x) {}\nexport class Item {}\nexport class Shop {}\nfunction no() {}\n"),
        made("js/a.js", "import Shop, { tax as levy } from './shop.js';\nimport * as all from './shop';\n"
                        "levy(all.Item, other.no);\n"),
        made("js/b.js", "const { Item } = require('./shop');\nnew Item();\n"),
        made("go/in/tools/tools.go", "package tools\nfunc Tax() {}\nfunc Untold() {}\n"),
        made("go/main.go",
             "package main\nimport \"example.com/go/in/tools\"\nvar x = tools.Tax(y.Untold, help())\n"),
        made("go/help.go", "package main\nfunc help() {}\nfunc Tax() {}\n"),
        made("rs/src/lib.rs",
             "mod shop;\nuse crate::shop::item::Item;\nfn f(i: Item) { shop::tax(\"untold\"); }\n"),
        made("rs/src/shop/mod.rs", "pub mod item;\npub fn tax() {}\npub fn untold() {}\n"),
        made("rs/src/shop/item.rs", "use super::tax;\npub struct Item {\n    x: u8,\n}\n"),
    };
    CHECK(imported(tree, "js/a.js") == Names{"js/shop.js:Shop", "js/shop.js:tax", "js/shop.js:Item"});
    CHECK(imported(tree, "js/b.js") == Names{"js/shop.js:Item"});
    CHECK(imported(tree, "go/main.go") == Names{"go/in/tools/tools.go:Tax", "go/help.go:help"});
    CHECK(imported(tree, "rs/src/lib.rs") == Names{"rs/src/shop/mod.rs:tax", "rs/src/shop/item.rs:Item"});
    CHECK(imported(tree, "rs/src/shop/item.rs") == Names{"rs/src/shop/mod.rs:tax"});
}

TEST_CASE("long definitions are cut, and names that nobody uses have no first line") {
    SourceTree tree;
    std::string text = "class Long:\n";
    for (int i = 0; i < 100; ++i) {
        text += "    x = 1\n";
    }
    tree.files = {made("long.py", text), made("a.py", "from long import Long\nx = 1\n")};
    CrossFile cross_file(tree);
    const std::vector<ImportedDefinition> found = cross_file.imported(tree.files[1]);
    REQUIRE(found.size() == 1);
    CHECK(found[0].lines.end == 40);
    CHECK(found[0].first_line == 2);
}

} // namespace pie
