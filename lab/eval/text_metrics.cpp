#include "eval/text_metrics.h"

#include "eval/source_tree.h"

#include <utf8.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

// The rule runs line by line; what it has seen so far.
struct LineRule {
    std::vector<std::string_view> opening; // of blocks
    std::vector<std::string_view> closing;
    std::string_view comment;
    bool in_block = false;

    // Whether the line is the one.
    bool takes(std::string_view line) {
        const std::string_view text = trimmed(line);
        const auto begins = [text](std::string_view mark) { return text.starts_with(mark); };
        const auto ends = [text](std::string_view mark) { return text.ends_with(mark); };
        if (text.empty()) {
            return false;
        }
        if (!in_block) {
            in_block = std::ranges::any_of(opening, begins);
            return !in_block && !begins(comment);
        }
        in_block = !std::ranges::any_of(closing, ends);
        return false;
    }
};

LineRule rule_of(std::string_view language) {
    if (language == "python") {
        return {{R"(""")", "'''"}, {R"(""")", "'''"}, "#"};
    }
    return {{"/*"}, {"*/"}, "//"};
}

std::string_view without_leading_breaks(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

using Characters = std::u32string;

Characters characters(std::string_view text) {
    std::string valid;
    utf8::replace_invalid(text.begin(), text.end(), std::back_inserter(valid));
    return utf8::utf8to32(valid);
}

bool is_space(char32_t c) {
    constexpr std::array<char32_t, 9> others = {0x20,   0x85,   0xA0,   0x1680, 0x2028,
                                                0x2029, 0x202F, 0x205F, 0x3000};
    return (c >= 0x9 && c <= 0xD) || (c >= 0x1C && c <= 0x1F) || (c >= 0x2000 && c <= 0x200A) ||
           std::ranges::find(others, c) != others.end();
}

std::vector<Characters> words(std::string_view text) {
    std::vector<Characters> found(1);
    for (const char32_t c : characters(text)) {
        if (!is_space(c)) {
            found.back() += c;
        } else if (!found.back().empty()) {
            found.emplace_back();
        }
    }
    if (found.back().empty()) {
        found.pop_back();
    }
    return found;
}

// Half-open in both texts.
struct Window {
    size_t a_begin;
    size_t a_end;
    size_t b_begin;
    size_t b_end;
};

struct Match {
    size_t a;
    size_t b;
    size_t length;
};

// Finds matching blocks of two texts in the order in which difflib does.
class BlockMatcher {
  public:
    BlockMatcher(Characters a, Characters b) : a_(std::move(a)), b_(std::move(b)) {
        for (size_t i = 0; i < b_.size(); ++i) {
            places_[b_[i]].push_back(i);
        }
        // In long texts a character that makes up more than a hundredth starts no match.
        constexpr size_t long_text = 200;
        if (b_.size() >= long_text) {
            const size_t most = b_.size() / 100 + 1;
            std::erase_if(places_, [most](const auto& entry) { return entry.second.size() > most; });
        }
    }

    size_t n_matching() const {
        size_t sum = 0;
        std::vector<Window> windows = {{0, a_.size(), 0, b_.size()}};
        while (!windows.empty()) {
            const Window w = windows.back();
            windows.pop_back();
            const Match m = longest(w);
            if (m.length == 0) {
                continue;
            }
            sum += m.length;
            windows.push_back({w.a_begin, m.a, w.b_begin, m.b});
            windows.push_back({m.a + m.length, w.a_end, m.b + m.length, w.b_end});
        }
        return sum;
    }

  private:
    // The longest block of the window; of equals the first in `a`, then the first in `b`.
    Match longest(const Window& w) const {
        Match best{w.a_begin, w.b_begin, 0};
        std::map<size_t, size_t> lengths; // of the match that ends at this place of b and the last one of a
        for (size_t i = w.a_begin; i < w.a_end; ++i) {
            std::map<size_t, size_t> next;
            const auto places = places_.find(a_[i]);
            for (const size_t j : places == places_.end() ? std::vector<size_t>() : places->second) {
                if (j < w.b_begin || j >= w.b_end) {
                    continue;
                }
                const auto before = j == 0 ? lengths.end() : lengths.find(j - 1);
                const size_t length = before == lengths.end() ? 1 : before->second + 1;
                next[j] = length;
                if (length > best.length) {
                    best = {i + 1 - length, j + 1 - length, length};
                }
            }
            lengths = std::move(next);
        }
        return grown(best, w);
    }

    // Frequent characters start no match, but belong to one that they touch.
    Match grown(Match m, const Window& w) const {
        while (m.a > w.a_begin && m.b > w.b_begin && a_[m.a - 1] == b_[m.b - 1]) {
            --m.a;
            --m.b;
            ++m.length;
        }
        while (m.a + m.length < w.a_end && m.b + m.length < w.b_end &&
               a_[m.a + m.length] == b_[m.b + m.length]) {
            ++m.length;
        }
        return m;
    }

    Characters a_;
    Characters b_;
    std::map<char32_t, std::vector<size_t>> places_; // in b, ascending
};

} // namespace

std::string_view predicted_line(std::string_view completion, std::string_view language) {
    const std::string_view text = without_leading_breaks(completion);
    LineRule rule = rule_of(language);
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        if (rule.takes(line)) {
            return line;
        }
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    return text.substr(0, text.find('\n'));
}

bool predicts_line(std::string_view text, std::string_view language) {
    LineRule rule = rule_of(language);
    std::string_view rest = without_leading_breaks(text);
    for (size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        if (rule.takes(rest.substr(0, end))) {
            return true;
        }
        rest.remove_prefix(end + 1);
    }
    return false;
}

bool exactly_matches(std::string_view prediction, std::string_view target) {
    return words(prediction) == words(target);
}

size_t edit_distance(std::string_view a, std::string_view b) {
    // One row of the table at a time: distances of a's first i bytes to each start of b.
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
    }
    return row[b.size()];
}

int edit_similarity(std::string_view prediction, std::string_view target) {
    Characters a = characters(target);
    Characters b = characters(prediction);
    if (a == b) {
        return 100;
    }
    if (a.empty() || b.empty()) {
        return 0;
    }
    const auto length = static_cast<double>(a.size() + b.size());
    const auto matching = static_cast<double>(BlockMatcher(std::move(a), std::move(b)).n_matching());
    return static_cast<int>(std::nearbyint(100 * (2.0 * matching / length)));
}

} // namespace pie
