// Which files modules mean, in a small tree of each language.

#include "eval/modules.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pie {
namespace {

using Paths = std::vector<std::string>;

SourceTree made(const Paths& paths) {
    SourceTree tree;
    for (const std::string& path : paths) {
        tree.files.push_back({path, language_of(path), {}});
    }
    return tree;
}

const SourceFile& file(const SourceTree& tree, const std::string& path) {
    const auto found = std::ranges::find(tree.files, path, &SourceFile::path);
    REQUIRE(found != tree.files.end());
    return *found;
}

Paths paths(const Files& files) {
    Paths found;
    for (const SourceFile* f : files) {
        found.push_back(f->path);
    }
    return found;
}

} // namespace

TEST_CASE("Python: from the file's folder, or from any folder that is no package") {
    const SourceTree tree = made({"src/shop/__init__.py", "src/shop/cart.py", "src/shop/json/__init__.py",
                                  "src/shop/json/tag.py", "src/tests/cart.py", "top.py"});
    const Modules modules(tree);
    const auto found = [&](const std::string& from, const std::string& module) {
        return paths(modules.find(file(tree, from), module));
    };
    CHECK(found("src/shop/cart.py", ".") == Paths{"src/shop/__init__.py"});
    CHECK(found("src/shop/cart.py", ".json") == Paths{"src/shop/json/__init__.py"});
    CHECK(found("src/shop/json/tag.py", "..cart") == Paths{"src/shop/cart.py"});
    CHECK(found("src/shop/json/tag.py", ".cart").empty());
    CHECK(found("top.py", "shop.json.tag") == Paths{"src/shop/json/tag.py"});
    CHECK(found("src/tests/cart.py", "shop") == Paths{"src/shop/__init__.py"});
    CHECK(found("src/shop/cart.py", "top") == Paths{"top.py"});
    CHECK(found("src/shop/cart.py", "json").empty()); // Python's own
    CHECK(found("src/shop/cart.py", "tests.none").empty());
    CHECK(found("top.py", "top").empty()); // itself
    CHECK(submodule(file(tree, "top.py"), "..", "cart") == "..cart");
    CHECK(submodule(file(tree, "top.py"), "shop", "cart") == "shop.cart");
}

TEST_CASE("Java: packages are folders, and classes files; a package's files know each other") {
    const SourceTree tree =
        made({"a/src/x/y/Item.java", "a/src/x/y/Cart.java", "b/src/x/y/Item.java", "x/Top.java"});
    const Modules modules(tree);
    const SourceFile& cart = file(tree, "a/src/x/y/Cart.java");
    CHECK(paths(modules.find(cart, "x.y.Item")) == Paths{"a/src/x/y/Item.java"}); // the nearer one
    CHECK(paths(modules.find(cart, "x.Top")) == Paths{"x/Top.java"});
    CHECK(modules.find(cart, "Item.Top").empty());
    CHECK(paths(modules.find_package(file(tree, "x/Top.java"), "x.y")) ==
          Paths{"a/src/x/y/Item.java", "a/src/x/y/Cart.java"});
    CHECK(paths(modules.neighbours(cart)) == Paths{"a/src/x/y/Item.java"});
}

TEST_CASE("C and C++: beside the file first, then below any folder; the system's headers are not ours") {
    const SourceTree tree =
        made({"src/a.cpp", "src/b.h", "src/string.h", "other/b.h", "include/pie/c.hpp", "d.c"});
    const Modules modules(tree);
    const SourceFile& a = file(tree, "src/a.cpp");
    CHECK(paths(modules.find(a, "\"b.h\"")) == Paths{"src/b.h"});
    CHECK(paths(modules.find(a, "\"../other/b.h\"")) == Paths{"other/b.h"});
    CHECK(paths(modules.find(a, "<pie/c.hpp>")) == Paths{"include/pie/c.hpp"});
    CHECK(paths(modules.find(file(tree, "d.c"), "\"pie/c.hpp\"")) == Paths{"include/pie/c.hpp"});
    CHECK(modules.find(a, "<string.h>").empty());
    CHECK(modules.find(a, "\"none.h\"").empty());
    CHECK(modules.neighbours(a).empty());
}

TEST_CASE("JavaScript: from the file's folder, with or without an ending, or a folder's index") {
    const SourceTree tree = made({"lib/a.js", "lib/b.mjs", "lib/c/index.js", "util.jsx"});
    const Modules modules(tree);
    const SourceFile& a = file(tree, "lib/a.js");
    CHECK(paths(modules.find(a, "./b.mjs")) == Paths{"lib/b.mjs"});
    CHECK(paths(modules.find(a, "./b")) == Paths{"lib/b.mjs"});
    CHECK(paths(modules.find(a, "./c")) == Paths{"lib/c/index.js"});
    CHECK(paths(modules.find(a, "./c/index.js")) == Paths{"lib/c/index.js"});
    CHECK(paths(modules.find(a, "../util")) == Paths{"util.jsx"});
    CHECK(modules.find(a, "util").empty());
}

TEST_CASE("Go: a package is a folder that some end of its path names") {
    const SourceTree tree =
        made({"repo/main.go", "repo/in/tools/a.go", "repo/in/tools/b.go", "repo/json/c.go"});
    const Modules modules(tree);
    const SourceFile& main = file(tree, "repo/main.go");
    CHECK(paths(modules.find(main, "\"example.com/who/repo/in/tools\"")) ==
          Paths{"repo/in/tools/a.go", "repo/in/tools/b.go"});
    CHECK(modules.find(main, "\"json\"").empty());
    CHECK(paths(modules.neighbours(file(tree, "repo/in/tools/a.go"))) == Paths{"repo/in/tools/b.go"});
}

TEST_CASE("Rust: from the crate, the module above, or the file's own module") {
    const SourceTree tree =
        made({"x/src/lib.rs", "x/src/a/mod.rs", "x/src/a/b.rs", "x/src/c.rs", "y/src/main.rs"});
    const Modules modules(tree);
    const auto found = [&](const std::string& from, const std::string& module) {
        return paths(modules.find(file(tree, from), module));
    };
    CHECK(found("x/src/a/b.rs", "crate::c") == Paths{"x/src/c.rs"});
    CHECK(found("x/src/a/b.rs", "crate") == Paths{"x/src/lib.rs"});
    CHECK(found("x/src/a/b.rs", "super") == Paths{"x/src/a/mod.rs"});
    CHECK(found("x/src/a/mod.rs", "self::b") == Paths{"x/src/a/b.rs"});
    CHECK(found("x/src/a/mod.rs", "b") == Paths{"x/src/a/b.rs"});
    CHECK(found("x/src/lib.rs", "a") == Paths{"x/src/a/mod.rs"});
    CHECK(found("y/src/main.rs", "crate::c").empty());
    CHECK(found("x/src/lib.rs", "std::c").empty());
}

} // namespace pie
