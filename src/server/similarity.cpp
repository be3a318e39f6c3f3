#include "server/similarity.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace pie {
namespace {

constexpr size_t typed_bytes_max = 256; // between two requests of the same person at the same place

struct CommonEnds {
    size_t begin; // bytes
    size_t end;
};

CommonEnds common_ends(std::string_view a, std::string_view b) {
    const auto [a_middle, b_middle] = std::ranges::mismatch(a, b);
    const auto begin = static_cast<size_t>(a_middle - a.begin());
    const size_t end_max = std::min(a.size(), b.size()) - begin;
    size_t end = 0;
    while (end < end_max && a[a.size() - 1 - end] == b[b.size() - 1 - end]) {
        ++end;
    }
    return {begin, end};
}

} // namespace

void LineSet::add(std::string_view text) {
    size_t begin = 0;
    while (begin < text.size()) {
        const size_t line_break = text.find('\n', begin);
        const size_t end = line_break == std::string_view::npos ? text.size() : line_break + 1;
        const std::string_view line = text.substr(begin, end - begin);
        lines_.emplace_back(std::hash<std::string_view>{}(line), static_cast<uint32_t>(line.size()));
        begin = end;
    }
    n_bytes_ += text.size();
    std::ranges::sort(lines_);
}

size_t LineSet::bytes_shared_with(const LineSet& other) const {
    size_t bytes = 0;
    auto mine = lines_.begin();
    auto theirs = other.lines_.begin();
    while (mine != lines_.end() && theirs != other.lines_.end()) {
        if (*mine < *theirs) {
            ++mine;
        } else if (*theirs < *mine) {
            ++theirs;
        } else {
            bytes += mine->second;
            ++mine;
            ++theirs;
        }
    }
    return bytes;
}

ContentPrint::ContentPrint(PromptContent content) : content_(std::move(content)) {
    text_lines_.add(content_.text);
    for (const ContextChunk& chunk : content_.chunks) {
        chunk_lines_.add(chunk.text);
    }
}

double ContentPrint::share_with(const ContentPrint& other) const {
    const size_t larger = std::max(n_bytes(), other.n_bytes());
    if (larger == 0) {
        return 1;
    }
    const CommonEnds ends = common_ends(content_.text, other.content_.text);
    const size_t text = std::max(ends.begin + ends.end, text_lines_.bytes_shared_with(other.text_lines_));
    return static_cast<double>(text + chunk_bytes_shared_with(other)) / static_cast<double>(larger);
}

bool ContentPrint::continues(const ContentPrint& other) const {
    const auto before = [](const PromptContent& content) {
        return std::string_view(content.text).substr(0, content.cursor);
    };
    const auto behind = [](const PromptContent& content) {
        return std::string_view(content.text).substr(content.cursor);
    };
    const std::string_view mine = before(content_);
    const std::string_view theirs = before(other.content_);
    return mine.size() > theirs.size() && mine.size() - theirs.size() <= typed_bytes_max &&
           mine.starts_with(theirs) && behind(content_) == behind(other.content_) &&
           content_.chunks == other.content_.chunks;
}

} // namespace pie
