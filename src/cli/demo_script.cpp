#include "cli/demo_script.h"

#include "base/check.h"
#include "cli/demo_source.h"

namespace pie {
namespace {

constexpr std::string_view new_function = R"(bool KvCells::is_free(CellIndex cell) const {
    return free_.contains({at(cell).dropped, cell.value});
}

)";

size_t place_of(const std::string& text, std::string_view anchor) {
    const size_t place = text.find(anchor);
    PIE_CHECK(place != std::string::npos, "the demo's source file changed; mend the script");
    return place;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    text.replace(place_of(text, from), from.size(), to);
    return text;
}

std::string replaced_everywhere(std::string text, std::string_view from, std::string_view to) {
    place_of(text, from);
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

// A step that ends with the cursor behind `left_of_cursor`.
DemoStep step(std::string title, std::string text, std::string_view left_of_cursor) {
    const size_t cursor = place_of(text, left_of_cursor) + left_of_cursor.size();
    return {std::move(title), std::move(text), ByteOffset(cursor), {}};
}

} // namespace

DemoScript demo_script() {
    DemoScript script{.file = demo_source_name, .start = std::string(demo_source), .cursor = {}, .steps = {}};
    const std::string& original = script.start;
    // The cursor stays where a line is being typed, near the end; the other edits happen around it.
    const std::string_view behind_cursor = "\n    for (const auto& [dropped, cell] : free_) {";
    script.cursor = ByteOffset(place_of(original, behind_cursor));
    const std::string typed = "\n    for (const CellIndex cell : order_) {\n        PIE_CHECK(!was_there[";
    const std::string with_line = replaced(original, behind_cursor, typed + std::string(behind_cursor));
    DemoStep typing = step("type two lines, key by key", with_line, typed);
    typing.typed = typed;
    script.steps.push_back(typing);

    const std::string_view below = "void KvCells::assign(";
    const std::string with_function =
        replaced(with_line, below, std::string(new_function) + std::string(below));
    script.steps.push_back(step("insert a function a quarter down", with_function, typed));

    script.steps.push_back(step("delete a function", replaced(with_function, new_function, ""), typed));

    std::string several =
        replaced(with_line, "#include <iterator>\n", "#include <iterator>\n#include <numeric>\n");
    several = replaced(several, "    int32_t extent = 0;\n", "    int32_t extent = 0; // of no cells\n");
    several = replaced(several, "    PIE_CHECK(!editing_, \"one edit at a time\");\n", "");
    script.steps.push_back(step("change three places at once", several, typed));

    script.steps.push_back(step("rename a member everywhere",
                                replaced_everywhere(several, "order_", "cell_of_"),
                                replaced(typed, "order_", "cell_of_")));

    script.steps.push_back(step("undo everything but the typing", with_line, typed));
    return script;
}

} // namespace pie
