#pragma once

#include <pie/types.h>

#include <string>

namespace pie {

// Replaces bytes [begin, end) of a text by `text`.
struct TextEdit {
    ByteOffset begin;
    ByteOffset end;
    std::string text;
};

} // namespace pie
