#pragma once

// The edits of `pie demo`: a person's afternoon on one source file of this repository, in a minute. Pure
// data, made from the file's text.

#include <pie/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace pie {

// The file is edited from what it was to `text`, and completed at `cursor`.
struct DemoStep {
    std::string title;
    std::string text;
    ByteOffset cursor;
    // Not empty: what stands before the cursor is typed key by key, one update for each.
    std::string typed;
};

struct DemoScript {
    std::string file;  // its name, for people
    std::string start; // its text when it is opened
    ByteOffset cursor;
    std::vector<DemoStep> steps;
};

DemoScript demo_script();

} // namespace pie
