#include "prompt/tokenized_text.h"

#include "base/check.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace pie {
namespace {

// The shortest part: a keystroke tokenises about one and a half of them, and each costs one call of the
// tokeniser.
constexpr size_t part_bytes_min = 128;

// Texts are compared in blocks, and only the block that differs byte by byte.
constexpr size_t block_bytes = 512;

size_t equal_front_bytes(std::string_view a, std::string_view b) {
    const size_t limit = std::min(a.size(), b.size());
    size_t equal = 0;
    while (equal + block_bytes <= limit && std::memcmp(&a[equal], &b[equal], block_bytes) == 0) {
        equal += block_bytes;
    }
    while (equal < limit && a[equal] == b[equal]) {
        ++equal;
    }
    return equal;
}

size_t equal_back_bytes(std::string_view a, std::string_view b) {
    const size_t limit = std::min(a.size(), b.size());
    size_t equal = 0;
    while (equal + block_bytes <= limit &&
           std::memcmp(&a[a.size() - equal - block_bytes], &b[b.size() - equal - block_bytes], block_bytes) ==
               0) {
        equal += block_bytes;
    }
    while (equal < limit && a[a.size() - equal - 1] == b[b.size() - equal - 1]) {
        ++equal;
    }
    return equal;
}

template <typename T>
void replace_range(std::vector<T>& items, size_t begin, size_t end, const std::vector<T>& with) {
    const size_t common = std::min(end - begin, with.size());
    const auto at = [](auto& list, size_t index) {
        return list.begin() + static_cast<std::ptrdiff_t>(index);
    };
    std::copy_n(with.begin(), common, at(items, begin));
    items.erase(at(items, begin + common), at(items, end));
    items.insert(at(items, begin + common), at(with, common), with.end());
}

} // namespace

// A place between two parts stays one where the text may be cut if the bytes that decided it are unchanged.
TokenizedText::PartRange TokenizedText::changed_parts(std::string_view text) const {
    const size_t front = equal_front_bytes(text_, text);
    const size_t back = equal_back_bytes(std::string_view(text_).substr(front), text.substr(front));
    PartRange range;
    size_t bytes = 0;
    size_t tokens = 0;
    for (size_t part = 0; part < parts_.size(); ++part) {
        if (bytes + CutRule::context_bytes <= front) {
            range.parts_begin = part;
            range.bytes_begin = bytes;
            range.tokens_begin = tokens;
        }
        bytes += parts_[part].byte_count;
        tokens += parts_[part].token_count;
        range.parts_end = part + 1;
        range.bytes_end = bytes;
        range.tokens_end = tokens;
        if (bytes >= text_.size() - back + CutRule::context_bytes) {
            break;
        }
    }
    return range;
}

const std::vector<TokenId>& TokenizedText::update(std::string_view text) {
    if (text == text_) {
        return tokens_;
    }
    const PartRange old = changed_parts(text);
    const size_t end = old.bytes_end + text.size() - text_.size();
    std::vector<Part> parts;
    std::vector<TokenId> tokens;
    for (size_t begin = old.bytes_begin; begin < end;) {
        size_t place = begin + part_bytes_min;
        while (place + part_bytes_min < end && !rule_->may_cut(text, place)) {
            ++place;
        }
        place = place + part_bytes_min < end ? place : end;
        const size_t token_count = tokens.size();
        rule_->append_tokens(text, begin, place, place_ == Place::inside, tokens);
        parts.push_back({.byte_count = place - begin, .token_count = tokens.size() - token_count});
        begin = place;
    }
    replace_range(parts_, old.parts_begin, old.parts_end, parts);
    replace_range(tokens_, old.tokens_begin, old.tokens_end, tokens);
    text_ = text;
    return tokens_;
}

} // namespace pie
