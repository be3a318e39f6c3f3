#include "text/fences.h"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("a fence is three backticks that a line begins with") {
    for (const char* text :
         {"```", "```cpp\nint a;\n```\n", "a\n```\n", "a\n   ```", "a\r\n\t```", "x ``` y\n```"}) {
        CAPTURE(text);
        CHECK(pie::has_fences(text));
    }
    for (const char* text : {"", "``", "x ```", "# ```\n", "``\n`\n", "/// ```\n/// ```"}) {
        CAPTURE(text);
        CHECK_FALSE(pie::has_fences(text));
    }
    CHECK_FALSE(pie::has_fences(std::string(100'000, '`').insert(0, "x")));
}

TEST_CASE("files of Markdown by their names") {
    CHECK(pie::is_markdown("README.md"));
    CHECK(pie::is_markdown("docs/a.markdown"));
    CHECK_FALSE(pie::is_markdown("a.cpp"));
    CHECK_FALSE(pie::is_markdown("md"));
    CHECK_FALSE(pie::is_markdown(""));
}
