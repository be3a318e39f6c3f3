#include "text/line_diff.h"

#include "base/check.h"
#include "base/myers.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>

// Two texts are aligned line by line. Where lines changed, `map_back` aligns what stands between the kept
// lines once more, character by character.

namespace pie {
namespace {

// A text cut into units (lines or characters), numbered so that equal units have equal numbers.
struct Units {
    std::vector<int32_t> numbers;
    std::vector<size_t> begins; // byte offsets, the end of the text behind them

    size_t count() const { return numbers.size(); }
    // The unit that holds a place; count() for the end of the text.
    size_t at(size_t offset) const {
        const auto behind = std::upper_bound(begins.begin(), begins.end() - 1, offset);
        return offset == begins.back() ? count() : static_cast<size_t>(behind - begins.begin()) - 1;
    }
};

class LineNumbers {
  public:
    // Lines keep their line breaks. A text that ends in one has no empty line behind it.
    Units lines_of(std::string_view text) {
        Units lines;
        size_t begin = 0;
        while (begin < text.size()) {
            const size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
            const auto next_number = static_cast<int32_t>(numbers_.size());
            lines.numbers.push_back(
                numbers_.emplace(text.substr(begin, end - begin), next_number).first->second);
            lines.begins.push_back(begin);
            begin = end;
        }
        lines.begins.push_back(text.size());
        return lines;
    }

  private:
    std::unordered_map<std::string_view, int32_t> numbers_;
};

Units characters_of(std::string_view text) {
    Units characters;
    for (size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if ((byte & 0xC0U) == 0x80U && !characters.numbers.empty()) {
            int32_t& number = characters.numbers.back();
            number = static_cast<int32_t>((static_cast<uint32_t>(number) << 8U) | byte);
        } else {
            characters.numbers.push_back(byte);
            characters.begins.push_back(at);
        }
    }
    characters.begins.push_back(text.size());
    return characters;
}

// The matches and, at the end, an empty one behind both texts.
std::vector<Match> align(const Units& before, const Units& after) {
    std::vector<Match> matches = myers_matches(before.numbers, after.numbers);
    matches.push_back({.a_begin = before.count(), .b_begin = after.count(), .length = 0});
    return matches;
}

std::string_view line_text(std::string_view text, const Units& lines, size_t line) {
    std::string_view found = text.substr(lines.begins[line], lines.begins[line + 1] - lines.begins[line]);
    if (found.ends_with('\n')) {
        found.remove_suffix(found.ends_with("\r\n") ? 2 : 1);
    }
    return found;
}

// Every line of both texts in the order of a unified diff.
std::vector<DiffLine> whole_script(std::string_view before, std::string_view after) {
    LineNumbers numbers;
    const Units before_lines = numbers.lines_of(before);
    const Units after_lines = numbers.lines_of(after);
    std::vector<DiffLine> script;
    size_t a = 0;
    size_t b = 0;
    for (const Match& match : align(before_lines, after_lines)) {
        while (a < match.a_begin) {
            script.push_back({LineChange::removed, line_text(before, before_lines, a++)});
        }
        while (b < match.b_begin) {
            script.push_back({LineChange::added, line_text(after, after_lines, b++)});
        }
        for (size_t i = 0; i < match.length; ++i, ++a, ++b) {
            script.push_back({LineChange::kept, line_text(after, after_lines, b)});
        }
    }
    return script;
}

// What stands in the older text where a unit of the newer one (or its end) stands: the same unit, or the gap
// between two matches.
struct Counterpart {
    enum class Kind { same, gap };
    Kind kind;
    size_t a_begin;
    size_t a_end;
    size_t b_begin;
    size_t b_end;
};

Counterpart counterpart(std::span<const Match> matches, size_t unit) {
    size_t a = 0;
    size_t b = 0;
    for (const Match& match : matches) {
        if (unit < match.b_begin || match.length == 0) {
            return {Counterpart::Kind::gap, a, match.a_begin, b, match.b_begin};
        }
        if (unit < match.b_begin + match.length) {
            const size_t same = match.a_begin + (unit - match.b_begin);
            return {Counterpart::Kind::same, same, same + 1, unit, unit + 1};
        }
        a = match.a_begin + match.length;
        b = match.b_begin + match.length;
    }
    PIE_CHECK(false, "the last match lies behind every unit");
    return {};
}

size_t next_change(std::span<const DiffLine> script, size_t from) {
    while (from < script.size() && script[from].change == LineChange::kept) {
        ++from;
    }
    return from;
}

} // namespace

std::vector<DiffHunk> line_diff(std::string_view before, std::string_view after, size_t context_line_count) {
    const std::vector<DiffLine> script = whole_script(before, after);
    std::vector<DiffHunk> hunks;
    size_t at = 0; // in the script; the line counts below stand at the same place
    LineIndex before_line;
    LineIndex after_line;
    const auto step = [&] {
        before_line += script[at].change == LineChange::added ? 0 : 1;
        after_line += script[at].change == LineChange::removed ? 0 : 1;
        ++at;
    };
    for (size_t change = next_change(script, 0); change < script.size(); change = next_change(script, at)) {
        while (at + context_line_count < change) {
            step();
        }
        DiffHunk hunk{.before_begin = before_line, .after_begin = after_line, .lines = {}};
        // Changes whose contexts touch are one hunk.
        size_t end = change;
        while (change < script.size() && change <= end + 2 * context_line_count) {
            end = change + 1;
            change = next_change(script, end);
        }
        end = std::min(end + context_line_count, script.size());
        while (at < end) {
            hunk.lines.push_back(script[at]);
            step();
        }
        hunk.before_line_count = before_line - hunk.before_begin;
        hunk.after_line_count = after_line - hunk.after_begin;
        hunks.push_back(std::move(hunk));
    }
    return hunks;
}

ByteOffset map_back(std::string_view before, std::string_view after, ByteOffset place) {
    PIE_CHECK(place.value <= after.size(), "a place outside the text");
    LineNumbers numbers;
    const Units before_lines = numbers.lines_of(before);
    const Units after_lines = numbers.lines_of(after);
    const Counterpart lines = counterpart(align(before_lines, after_lines), after_lines.at(place.value));
    const size_t a_begin = before_lines.begins[lines.a_begin];
    const size_t b_begin = after_lines.begins[lines.b_begin];
    const size_t within = place.value - b_begin;
    if (lines.kind == Counterpart::Kind::same) {
        return ByteOffset(a_begin + within);
    }
    const Units from = characters_of(before.substr(a_begin, before_lines.begins[lines.a_end] - a_begin));
    const Units to = characters_of(after.substr(b_begin, after_lines.begins[lines.b_end] - b_begin));
    const Counterpart characters = counterpart(align(from, to), to.at(within));
    return ByteOffset(a_begin + from.begins[characters.a_begin]);
}

} // namespace pie
