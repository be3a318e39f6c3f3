#pragma once

// Where a person would end what a model writes on and on: with the block that the cursor is in. Lines are
// told apart by their indentation, so that it works in every language that people indent.
//
// Pure function; any thread.

#include <cstddef>
#include <string_view>

namespace pie {

struct Offered {
    size_t length = 0;    // of the written text, that belongs to the block for sure
    bool is_over = false; // nothing that may be written behind it does
};

enum class Writing { goes_on, ended };

// The block ends before a line that is indented less than the cursor's. Where that is not indented, it ends
// before one that is not either behind one that is, or with an empty line where none is. A line that closes
// the block, such as `}`, belongs to it, unless the text behind the cursor begins with it.
Offered offered_part(std::string_view before, std::string_view after, std::string_view written,
                     Writing writing);

} // namespace pie
