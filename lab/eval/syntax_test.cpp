// Small files of each language, with what their lines are, written down by hand.

#include "eval/syntax.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

using Names = std::vector<std::string>;

SourceFile made(const std::string& path, const std::string& text) {
    return {path, language_of(path), split_lines(text)};
}

// A file whose lines begin with '+' where they are worth completing and with '-' where they are not.
void check_code(const std::string& path, const std::string& marked) {
    std::string text;
    std::vector<bool> expected;
    for (const std::string& line : split_lines(marked)) {
        expected.push_back(line.front() == '+');
        text += line.substr(1);
    }
    const SourceFile file = made(path, text);
    const std::vector<bool> found = code_lines(file);
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
        CAPTURE(path);
        CAPTURE(file.lines[i]);
        CHECK(found[i] == expected[i]);
    }
}

// As "module|name|local name", with "*" for all names.
Names imports_of(const std::string& path, const std::string& text) {
    Names found;
    for (const Import& import : read_syntax(made(path, text)).imports) {
        found.push_back(import.module + "|" + (import.takes_all ? "*" : import.name) + "|" +
                        import.local_name);
    }
    return found;
}

// As "name begin end", lines from 0 on.
Names definitions_of(const std::string& path, const std::string& text) {
    Names found;
    for (const Definition& definition : read_syntax(made(path, text)).definitions) {
        found.push_back(definition.name + " " + std::to_string(definition.lines.begin) + " " +
                        std::to_string(definition.lines.end));
    }
    return found;
}

// As "object.name" or "name".
Names names_of(const std::string& path, const std::string& line) {
    const FileSyntax syntax = read_syntax(made(path, line));
    Names found;
    for (const NameUse& use : syntax.names.at(0)) {
        found.push_back(use.object.empty() ? use.name : use.object + "." + use.name);
    }
    return found;
}

} // namespace

TEST_CASE("lines of Python worth completing") {
    check_code("a.py", R"(-"""A docstring
-import this
-of three lines"""
-import os
-from a import (
-    b,  # not this
-    c,
-)
-
+class Item:
-    '''from x import y'''
+    text = "import z"
+    note = """
-import this
-"""
-    # return x
+    rate = {"import a": 1,
-            "b": (
+                two)}
-    x
+    x=1
-    def f(self): import json
-    import late
+    raise ValueError(
-        "only words",
+        f"{name} and words")
+x = (
-    )
)");
}

TEST_CASE("lines of the other languages worth completing") {
    check_code("A.java", R"(+package a;
-import a.B;
-/* import a.C;
-int x; */
-/** one */ int y;
+class A {
+    String s = "/*";
+    int y; // import a.D
-    // int z;
+    String t = """
-      import a.E;
-      """;
-}
)");
    check_code("dir/a.cpp", R"(-#include <a>
-#include "b.h"
+    *out = 3;
-    // int a; /*
+    int a; /* a block
-     * goes on
-     */
-    /* a */ int b;
+    const char* s = R"x(
-#include "c.h"
-int z;
-)x";
+    return a;
-    });
)");
    check_code("a.js", R"(-import a from './a';
-const { b,
-  c } = require('./b');
+const d = required('./d');
+const text = `
-import e from './e';
-  ${call()} words
-words
-`;
+const f = x => x / 2; // "
-// const g
)");
    check_code("a.go", R"(+package a
-import (
-	"fmt"
-	b "x/b"
-)
+var s = `
-import "c"
-`
)");
    check_code("a.rs", R"(-use a::{
-    b,
-};
-mod c;
+mod d {
+    fn f() {}
-    use super::*;
-}
-/// fn g() {}
-/* fn /* nested */ h() {}
-*/
+fn k<'a>(x: &'a str) -> char { '"' }
+fn m() {}
)");
    check_code("a.rb", "-def f\n-end\n");
}

TEST_CASE("statements at the left margin can be moved to the front; others stay where they are") {
    const auto check = [](const std::string& path, const std::string& text,
                          const std::vector<bool>& expected) {
        CHECK(read_syntax(made(path, text)).is_import == expected);
    };
    check("a.py",
          "import os\ntry:\n    import json\nexcept ImportError:\n    pass\nfrom a import (b,\n    "
          "c,\n)\nx=1\n",
          {true, false, false, false, false, true, true, true, false});
    check("a.c", "#include <b.h>\n#define X 1\n", {true, false});
    check("A.java", "package a;\nimport a.B;\nclass A {}\n", {false, true, false});
}

TEST_CASE("what Python imports") {
    CHECK(imports_of("a.py", R"("""
from not_this import x
"""
import os, a.b as ab
from . import c
from ..d.e import (  # from not_this import y
    f as g,
    h,
)
from k import *
text = "import not_this"
def f():
    from late import m
)") == Names{"os||", "a.b||ab", ".|c|", "..d.e|f|g", "..d.e|h|", "k|*|", "late|m|"});
}

TEST_CASE("what the other languages import") {
    CHECK(imports_of("A.java", "// import x.Y;\nimport a.b.C;\nimport static a.D.e;\nclass A { String s = "
                               "\"import z.Z;\"; }\n") == Names{"a.b|C|", "a.D|e|"});
    const Names all = imports_of("A.java", "import a.b.*;\n");
    CHECK(std::ranges::count(all, "a.b|*|") == 1);
    CHECK(
        imports_of("a.cpp",
                   "#include \"a/b.h\"\n/*\n#include \"c.h\"\n*/\n#ifdef X\n#  include <d/e.h>\n#endif\n") ==
        Names{"\"a/b.h\"|*|", "<d/e.h>|*|"});
    CHECK(imports_of("a.js", R"(import a, { b as c, d } from './x';
import * as e from './y';
import './effects';
const f = require('./f'), g = requires('./g');
const { h, i: j } = require("./h");
export { k as l } from './k';
// import m from './m';
)") == Names{"./x||a", "./x|b|c", "./x|d|", "./y||e", "./f||f", "./h|h|", "./h|i|j", "./k|k|l"});
    CHECK(imports_of("a.go",
                     "package a\nimport \"fmt\"\nimport (\n\t// \"x/not\"\n\tb \"x/b\"\n\t. \"x/c\"\n)\n") ==
          Names{"\"fmt\"||", "\"x/b\"||b", "\"x/c\"|*|"});
    CHECK(imports_of("a.rs", R"(use crate::a::{self, b::C as D, e::{F, g}};
pub use super::h::*;
mod i;
mod inline { use super::*; }
// use crate::not::This;
)") == Names{"crate|a|", "crate::a::b|C|D", "crate::a::e|F|", "crate::a::e|g|", "super::h|*|", "i||"});
}

TEST_CASE("what files define, neither inside functions nor inside classes") {
    CHECK(definitions_of("a.py", R"(TAX = 1
@decorated(
    x)
def f():
    inner = 1
    def g(): pass

if X:
    class Late:
        def method(self): pass
text = """
def not_this(): pass
"""
)") == Names{"TAX 0 1", "f 1 6", "Late 8 10", "text 10 13"});
    CHECK(definitions_of("A.java",
                         "package a;\n@Deprecated\npublic class A {\n  class Inner {}\n}\nenum B { X }\n") ==
          Names{"A 1 5", "B 5 6"});
    CHECK(definitions_of("a.h", R"(#ifndef A_H
#define A_H
namespace n {
template <typename T>
class Box {
    int inner();
    struct Nested { int x; };
};
struct Later;
enum class Kind { a };
int free_function(int x);
Box<int>& get(int x);
using Name = int;
void Box::inner() { struct Hidden { int y; }; }
}
#endif
)") == Names{"A_H 1 2", "Box 3 8", "Kind 9 10", "free_function 10 11", "get 11 12", "Name 12 13"});
    CHECK(definitions_of("a.c",
                         "typedef struct { int x; } Point;\nstatic char *name(void) {\n  return 0;\n}\n") ==
          Names{"Point 0 1", "name 1 4"});
    CHECK(definitions_of("a.js", R"(export class A { m() { function no() {} } }
const f = (x) => { const no = 1; };
function* g() {}
describe('x', () => { const no = 2; });
const h = require('./h');
)") == Names{"A 0 1", "f 1 2", "g 2 3"});
    CHECK(definitions_of("a.go", R"(package a
type T struct {
	x int
}
func (t T) Method() {}
func F() { var no int }
const (
	A = 1
	B = 2
)
)") == Names{"T 1 4", "F 5 6", "A 6 10", "B 6 10"});
    CHECK(definitions_of("a.rs", "pub struct S {\n  x: u8,\n}\nimpl S {\n  fn no() {}\n}\nfn f() {}\nmod m "
                                 "{\n  fn no() {}\n}\n") == Names{"S 0 3", "f 6 7"});
}

TEST_CASE("names on a line, with what they are looked up in, and none in strings and comments") {
    CHECK(names_of("a.py", "total = shop.tax(item, rate=tax) + f\"{price} item\"  # tax\n") ==
          Names{"total", "shop", "shop.tax", "item", "?.rate", "tax", "price"});
    CHECK(names_of("A.java", "class A { Item x = Item.of(\"Cart\", this.y); } // Item\n") ==
          Names{"A", "Item", "x", "Item", "Item.of", "this.y"});
    CHECK(names_of("a.cpp", "int x = n::tax(item.price, \"tax\"); // tax\n") ==
          Names{"x", "n", "tax", "item", "?.price"});
    CHECK(names_of("a.js", "const x = shop.tax(`tax ${item}`, { price, rate: 1 }); // tax\n") ==
          Names{"x", "shop", "shop.tax", "item", "price", "?.rate"});
    CHECK(names_of("a.go", "var x shop.Item = shop.Tax(y.z, \"Tax\") // Tax\n") ==
          Names{"x", "shop.Item", "shop", "shop.Tax", "y", "y.z"});
    CHECK(names_of("a.rs", "fn f(x: shop::Item) { shop::tax(x.y, \"tax\"); } // tax\n") ==
          Names{"f", "x", "shop", "shop.Item", "shop", "shop.tax", "x", "?.y"});
}

TEST_CASE("files that end anywhere, or lack a byte anywhere, are read as far as they go") {
    const std::vector<std::pair<std::string, std::string>> files = {
        {"a.py", "from a import (b as c,\n  d)\n@e\ndef f(g='''h\ni'''):\n    return j.k(f\"{l}\")  # m\n"},
        {"A.java",
         "import static a.b.*;\n/* c\n */ class D {\n  String e = \"\"\"\n f\"\"\"; { g.h('i'); }\n}\n"},
        {"a.cpp",
         "#include <a/b.h>\n#define C(d) e\ntemplate <class F>\nF* g(int h) { return R\"(i\n)\"; }\n"},
        {"a.c", "#include \"a.h\"\ntypedef struct {\n  int b;\n} C; /*\n*/ char *d(void) { return 'e'; }\n"},
        {"a.js",
         "import a, { b as c } from './d';\nconst { e } = require('./f');\nclass G { h() { `i\n${j}` } }\n"},
        {"a.go", "package a\nimport (\n\tb \"c/d\"\n)\nvar e = `f\n`\nfunc g() { h.I('j') }\n"},
        {"a.rs", "use a::{self, b::c as d, e::*};\nmod f;\nfn g<'h>() { i::j(\"k\n\", 'l') } /* m\n*/\n"}};
    for (const auto& [path, text] : files) {
        for (size_t at = 0; at < text.size(); ++at) {
            for (const std::string& damaged :
                 {text.substr(0, at), text.substr(0, at) + text.substr(at + 1)}) {
                CAPTURE(damaged);
                const SourceFile file = made(path, damaged);
                const FileSyntax syntax = read_syntax(file);
                REQUIRE(syntax.is_code.size() == file.lines.size());
                REQUIRE(syntax.is_import.size() == file.lines.size());
                REQUIRE(syntax.names.size() == file.lines.size());
                for (const Definition& definition : syntax.definitions) {
                    CHECK(definition.lines.begin < definition.lines.end);
                    CHECK(definition.lines.end <= file.lines.size());
                    CHECK(!definition.name.empty());
                }
            }
        }
    }
}

TEST_CASE("files with errors, empty ones and odd ones") {
    CHECK(imports_of("a.py", "from a import b\nx = = 1\nfrom c import d\n") == Names{"a|b|", "c|d|"});
    CHECK(read_syntax(made("a.py", "")).names.empty());
    CHECK(code_lines(made("a.py", "x = \"\"\"never\nclosed\n")).at(0));
    CHECK(read_syntax(made("a.py", "x = 1\r\n")).names.at(0).size() == 1);
    CHECK(code_lines(made("a.py", "größe = 1\n")) == std::vector<bool>{true});
    CHECK(read_syntax(made("a.kt", "import a.b\nclass A\n")).definitions.empty());
}

} // namespace pie
