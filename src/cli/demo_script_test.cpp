#include "cli/demo_script.h"

#include <doctest/doctest.h>

namespace pie {

TEST_CASE("every step of the demo changes the text and has its cursor inside") {
    const DemoScript script = demo_script();
    REQUIRE(script.steps.size() == 6);
    CHECK(script.cursor.value <= script.start.size());
    std::string_view previous = script.start;
    for (const DemoStep& step : script.steps) {
        CAPTURE(step.title);
        CHECK(step.text != previous);
        CHECK(step.cursor.value <= step.text.size());
        CHECK(std::string_view(step.text).substr(0, step.cursor.value).ends_with(step.typed));
        previous = step.text;
    }
    CHECK(script.steps.back().text == script.steps.front().text);
}

} // namespace pie
