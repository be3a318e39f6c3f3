#pragma once

// How a person at a keyboard turns one text into another: from top to bottom, what has to go is selected and
// deleted at once, what comes is typed character by character.
//
// Thread rule: pure functions.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// The text after a keystroke, and where the cursor then is. `begins` says that the cursor came from somewhere
// else.
struct Keystroke {
    std::string text;
    size_t cursor = 0;
    bool begins = false;
};

// Both texts are ASCII. The last keystroke's text is `after`.
std::vector<Keystroke> keystrokes(std::string_view before, std::string_view after);

} // namespace pie
