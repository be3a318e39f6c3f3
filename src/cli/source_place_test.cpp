#include "cli/source_place.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("LINE:COL") {
    const auto place = parse_line_column("12:5");
    REQUIRE(place.has_value());
    CHECK(place->line == 12);
    CHECK(place->column == 5);
    for (const char* wrong :
         {"", "12", "12:", ":5", "0:1", "1:0", "-1:2", "1:2x", "1 :2", "99999999999999999999:1"}) {
        CAPTURE(wrong);
        const auto error = parse_line_column(wrong);
        REQUIRE_FALSE(error.has_value());
        CHECK(error.error().code == ErrorCode::invalid_argument);
    }
}

TEST_CASE("FILE:LINE:COL, with colons in the name") {
    const auto place = parse_source_place("a:b/c.py:3:14");
    REQUIRE(place.has_value());
    CHECK(place->file == "a:b/c.py");
    CHECK(place->place.line == 3);
    CHECK(place->place.column == 14);
    for (const char* wrong : {"c.py", "c.py:3", ":3:4", "c.py:3:x", "c.py:0:1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_source_place(wrong).has_value());
    }
}

} // namespace pie
