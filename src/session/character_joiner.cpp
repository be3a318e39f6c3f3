#include "session/character_joiner.h"

#include <utf8.h>

#include <cstddef>

namespace pie {
namespace {

// Bytes at the end of `text` that begin a character without completing it.
size_t incomplete_tail(std::string_view text) {
    for (size_t back = 1; back <= 4 && back <= text.size(); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xC0U) == 0x80U) {
            continue; // a continuation byte: its character begins further left
        }
        const size_t length = byte < 0x80U ? 1 : byte < 0xE0U ? 2 : byte < 0xF0U ? 3 : 4;
        return back < length ? back : 0;
    }
    return 0;
}

} // namespace

std::string CharacterJoiner::push(std::string_view piece) {
    pending_ += piece;
    const size_t whole = pending_.size() - incomplete_tail(pending_);
    std::string text = utf8::replace_invalid(std::string_view(pending_).substr(0, whole));
    pending_.erase(0, whole);
    return text;
}

} // namespace pie
