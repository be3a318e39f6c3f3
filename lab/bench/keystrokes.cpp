#include "bench/keystrokes.h"

#include "base/myers.h"

#include <algorithm>
#include <cstdint>
#include <map>

namespace pie {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
        lines.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return lines;
}

size_t bytes_of(const std::vector<std::string_view>& lines, size_t begin, size_t end) {
    size_t n = 0;
    for (size_t i = begin; i < end; ++i) {
        n += lines[i].size();
    }
    return n;
}

class Typist {
  public:
    explicit Typist(std::string_view text) : text_(text) {}

    // Replaces `n` bytes from `begin` on; what both texts begin and end with stays.
    void replace(size_t begin, size_t n, std::string_view replacement) {
        const std::string removed = text_.substr(begin, n);
        const size_t n_common_max = std::min(n, replacement.size());
        const auto n_front = static_cast<size_t>(
            std::mismatch(removed.begin(), removed.begin() + static_cast<std::ptrdiff_t>(n_common_max),
                          replacement.begin())
                .first -
            removed.begin());
        size_t n_back = 0;
        while (n_back < n_common_max - n_front &&
               removed[n - 1 - n_back] == replacement[replacement.size() - 1 - n_back]) {
            ++n_back;
        }
        cursor_ = begin + n_front;
        bool begins = true;
        if (n > n_front + n_back) {
            text_.erase(cursor_, n - n_front - n_back);
            strokes_.push_back({text_, cursor_, begins});
            begins = false;
        }
        for (const char c : replacement.substr(n_front, replacement.size() - n_front - n_back)) {
            text_.insert(cursor_, 1, c);
            ++cursor_;
            strokes_.push_back({text_, cursor_, begins});
            begins = false;
        }
    }

    std::vector<Keystroke> strokes() && { return std::move(strokes_); }

  private:
    std::string text_;
    size_t cursor_ = 0;
    std::vector<Keystroke> strokes_;
};

} // namespace

std::vector<Keystroke> keystrokes(std::string_view before, std::string_view after) {
    const std::vector<std::string_view> old_lines = lines_of(before);
    const std::vector<std::string_view> new_lines = lines_of(after);
    std::map<std::string_view, int32_t> numbers;
    const auto numbered = [&numbers](const std::vector<std::string_view>& lines) {
        std::vector<int32_t> result;
        result.reserve(lines.size());
        for (const std::string_view line : lines) {
            result.push_back(numbers.try_emplace(line, static_cast<int32_t>(numbers.size())).first->second);
        }
        return result;
    };
    std::vector<Match> matches = myers_matches(numbered(old_lines), numbered(new_lines));
    matches.push_back({old_lines.size(), new_lines.size(), 0});

    Typist typist(before);
    size_t old_line = 0;
    size_t new_line = 0;
    size_t begin = 0; // of new_line, in a text that is already what it is to be up to there
    for (const Match& match : matches) {
        const size_t n_new = bytes_of(new_lines, new_line, match.b_begin);
        const auto new_offset = static_cast<size_t>(
            new_line < new_lines.size() ? new_lines[new_line].data() - after.data() : after.size());
        typist.replace(begin, bytes_of(old_lines, old_line, match.a_begin), after.substr(new_offset, n_new));
        old_line = match.a_begin + match.length;
        new_line = match.b_begin + match.length;
        begin += n_new + bytes_of(new_lines, match.b_begin, new_line);
    }
    return std::move(typist).strokes();
}

} // namespace pie
