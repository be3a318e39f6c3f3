// A table of what stands before the cursor and behind it, what a model writes, and what of that is offered.

#include "cli/block_end.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace pie {
namespace {

struct Case {
    std::string before;
    std::string after;
    std::string written;
    std::string offered;
};

const std::vector<Case> cases = {
    // A body ends where a line is indented less.
    {"def add(a, b):\n    ", "\n", "return a + b\n\n\ndef sub(a, b):\n    return a - b\n", "return a + b"},
    {"def f(xs):\n    total = 0\n    ", "",
     "for x in xs:\n        total += x\n    return total\n\nprint(f([]))\n",
     "for x in xs:\n        total += x\n    return total"},
    {"def f(xs):\n\n    a = 1\n    b", "", " = 2\n\n    return a\n\nx = 1", " = 2\n\n    return a"},
    {"if a:\n    ", "", "x = 1\nelse:\n    x = 2\n", "x = 1"},
    // The block's own end belongs to it, unless it is there already.
    {"int twice(int n) {\n    ", "", "return 2 * n;\n}\n\nint main() {\n", "return 2 * n;\n}"},
    {"int twice(int n) {\n    ", "\n}\n", "return 2 * n;\n}\n\nint main() {\n", "return 2 * n;"},
    {"int twice(int n) {\n    ", "", "if (n) {\n        return 2 * n;\n    }\n    return 0;\n}\nint x;",
     "if (n) {\n        return 2 * n;\n    }\n    return 0;\n}"},
    {"    if (a) {\n        ", "", "b();\n    } else {\n        c();\n    }\n", "b();"},
    {"def f\n  ", "", "1 + 1\nend\n\ndef g\n", "1 + 1\nend"},
    {"def f\n  ", "", "1 + 1\nendings = 1\n", "1 + 1"},
    {"call(\n    a,\n    ", "", "b,\n)\nother()\n", "b,\n)"},
    // In the first column a definition ends with what follows its body, and statements with an empty line.
    {"def add(", "", "a, b):\n    return a + b\n\n\ndef sub(a, b):\n", "a, b):\n    return a + b"},
    {"def add(a, b):", "", "\n    c = a\n\n    return c + b\nprint(add(1, 2))\n",
     "\n    c = a\n\n    return c + b"},
    {"int main()", "", "\n{\n    return 0;\n}\n\nint other()\n{\n", "\n{\n    return 0;\n}"},
    {"if a:", "", "\n    b()\nelif c:\n    d()\nelse:\n    e()\nf()\n",
     "\n    b()\nelif c:\n    d()\nelse:\n    e()"},
    {"function f() {", "", "\n  if (a) {\n    b();\n  } else {\n    c();\n  }\n}\nf();\n",
     "\n  if (a) {\n    b();\n  } else {\n    c();\n  }\n}"},
    {"import os\nimport ", "\n", "sys\nimport re\n\nx = 1\n", "sys\nimport re"},
    {"", "", "import os\n\nimport sys\n", "import os"},
    {"", "", "\n\nx = 1\ny = 2\n\nz = 3", "\n\nx = 1\ny = 2"},
    // A cursor's line that holds nothing is indented as what is written there.
    {"def f():\n", "", "    return 1\n\ndef g():\n", "    return 1"},
    {"def f():\n  ", "", "  return 1\n  x\n", "  return 1"},
    {"def f():\n", "", "\n    return 1\ng()\n", "\n    return 1"},
    {"\tif a {\n\t\t", "", "b()\n\t}\n\tc()\n", "b()\n\t}"},
    // Lines that end in CR LF.
    {"def f():\r\n    ", "", "return 1\r\n\r\ndef g():\r\n", "return 1"},
    {"void f() {\r\n    ", "\r\n}\r\n", "g();\r\n}\r\n", "g();"},
    // What does not end is offered whole, but for blanks at its end.
    {"    a = ", "", "b + c", "b + c"},
    {"    a = ", "", "b\n    ", "b"},
    {"    a = ", "", "", ""},
    {"    a =", "", " ", ""}};

} // namespace

TEST_CASE("what is offered ends with the block") {
    for (const Case& c : cases) {
        CAPTURE(c.before);
        CAPTURE(c.written);
        const Offered offered = offered_part(c.before, c.after, c.written, Writing::ended);
        CHECK(c.written.substr(0, offered.length) == c.offered);
    }
}

TEST_CASE("what is offered while it is written stays, and nothing comes behind its end") {
    for (const Case& c : cases) {
        CAPTURE(c.before);
        CAPTURE(c.written);
        size_t length = 0;
        bool was_over = false;
        for (size_t n = 0; n <= c.written.size(); ++n) {
            const Offered offered = offered_part(c.before, c.after, c.written.substr(0, n), Writing::goes_on);
            CHECK(offered.length >= length);
            CHECK(offered.length <= c.offered.size());
            CHECK((!was_over || offered.length == length));
            length = offered.length;
            was_over = was_over || offered.is_over;
        }
        CHECK((!was_over || length == c.offered.size()));
    }
}

} // namespace pie
