#include "cli/block_end.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace pie {
namespace {

constexpr std::string_view blanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
    const size_t begin = std::min(text.find_first_not_of(blanks), text.size());
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

// None where the line holds nothing.
std::optional<size_t> indent_of(std::string_view line) {
    const size_t indent = line.find_first_not_of(blanks);
    return indent == std::string_view::npos ? std::nullopt : std::optional(indent);
}

bool begins_with_word(std::string_view text, std::span<const std::string_view> words) {
    const std::string_view first = text.substr(0, text.find_first_of(" \t:;,.(){}[]"));
    return std::ranges::find(words, first) != words.end();
}

bool closes(std::string_view line) {
    constexpr std::array<std::string_view, 3> words = {"end", "fi", "done"};
    const std::string_view text = trimmed(line);
    return text.find_first_of("})]") == 0 || begins_with_word(text, words);
}

bool opens(std::string_view line) {
    return trimmed(line).find_last_of("{([:") == trimmed(line).size() - 1;
}

// A statement goes on behind the block that is over, as an `if` does.
bool goes_on(std::string_view line) {
    constexpr std::array<std::string_view, 6> words = {"else", "elif", "elsif", "except", "finally", "catch"};
    return begins_with_word(trimmed(line), words) || (closes(line) && opens(line));
}

// Reads the lines that are written, one by one.
class Block {
  public:
    Block(std::string_view before, std::string_view after)
        : cursor_line_(before.substr(before.rfind('\n') + 1)), indent_(indent_of(cursor_line_)) {
        const std::string_view from = trimmed(after);
        text_behind_ = trimmed(from.substr(0, from.find('\n')));
    }

    // The rest of the cursor's line.
    void begin_with(std::string_view line) {
        if (const auto indent = indent_of(line); indent && !indent_) {
            indent_ = cursor_line_.size() + *indent;
        }
    }

    enum class Verdict { belongs, belongs_last, is_behind, unknown };

    Verdict judge(std::string_view line, bool is_whole) {
        const auto indent = indent_of(line);
        if (!indent) {
            return !is_whole ? Verdict::unknown : ends_empty() ? Verdict::is_behind : Verdict::belongs;
        }
        const size_t outer = indent_.value_or(*indent);
        indent_ = outer;
        if (outer > 0 ? *indent >= outer : (*indent > 0 || !was_indented_)) {
            was_indented_ = was_indented_ || *indent > outer;
            return Verdict::belongs;
        }
        return is_whole ? judge_outer(line) : Verdict::unknown;
    }

  private:
    bool ends_empty() const { return indent_ == std::size_t{0} && !was_indented_; }

    Verdict judge_outer(std::string_view line) const {
        if (indent_ == std::size_t{0} && goes_on(line)) {
            return Verdict::belongs;
        }
        const bool is_its_end = closes(line) && !opens(line) && trimmed(line) != text_behind_;
        return is_its_end ? Verdict::belongs_last : Verdict::is_behind;
    }

    std::string_view cursor_line_;
    std::string_view text_behind_;
    std::optional<size_t> indent_; // of the cursor's line; none as long as that holds nothing
    bool was_indented_ = false;    // a line, more than that
};

} // namespace

Offered offered_part(std::string_view before, std::string_view after, std::string_view written,
                     Writing writing) {
    Block block(before, after);
    Offered offered;
    for (size_t begin = 0; begin <= written.size() && !offered.is_over;) {
        const size_t end = std::min(written.find('\n', begin), written.size());
        const std::string_view line = written.substr(begin, end - begin);
        auto verdict = Block::Verdict::belongs;
        if (begin == 0) {
            block.begin_with(line);
        } else {
            verdict = block.judge(line, end < written.size() || writing == Writing::ended);
        }
        if (verdict == Block::Verdict::unknown) {
            break;
        }
        if (verdict != Block::Verdict::is_behind && indent_of(line)) {
            offered.length = begin + line.find_last_not_of(blanks) + 1;
        }
        offered.is_over = verdict == Block::Verdict::is_behind || verdict == Block::Verdict::belongs_last;
        begin = end + 1;
    }
    return offered;
}

} // namespace pie
