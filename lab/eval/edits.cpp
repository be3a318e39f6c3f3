#include "eval/edits.h"

#include "eval/middle_edits.h"
#include "eval/source_tree.h"
#include "eval/text_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <vector>

namespace pie {
namespace {

using Lines = std::span<const std::string>;

constexpr size_t lines_edited = 5; // the paper's insertions and deletions
constexpr size_t occurrences_min = 3;
constexpr int draws_max = 50;

// The lines without those whose indices are given.
std::string joined_without(Lines lines, std::span<const size_t> left_out) {
    std::string text;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (std::ranges::find(left_out, i) == left_out.end()) {
            text += lines[i];
        }
    }
    return text;
}

bool is_blank(std::string_view line) {
    return trimmed(line).empty();
}

std::vector<size_t> indices(size_t begin, size_t count) {
    std::vector<size_t> result(count);
    std::iota(result.begin(), result.end(), begin);
    return result;
}

// Where so many lines that are not all blank begin; empty if the draws met only blank ones.
std::optional<size_t> draw_block(Lines lines, size_t n_lines, Random& random) {
    for (int draw = 0; draw < draws_max; ++draw) {
        const size_t begin = random.below(lines.size() - n_lines + 1);
        if (!std::ranges::all_of(lines.subspan(begin, n_lines), is_blank)) {
            return begin;
        }
    }
    return std::nullopt;
}

// A line of any prompt of the language; empty if the draws met only blank ones.
std::string draw_line(const EditSite& site, Random& random) {
    for (int draw = 0; draw < draws_max; ++draw) {
        const Lines lines = site.pool[random.below(site.pool.size())];
        if (lines.empty()) {
            continue;
        }
        const std::string& line = lines[random.below(lines.size())];
        if (!is_blank(line)) {
            return line;
        }
    }
    return {};
}

// 5 lines that belong elsewhere; empty if the prompts hold hardly any.
std::string draw_foreign_lines(const EditSite& site, Random& random) {
    std::string text;
    for (size_t i = 0; i < lines_edited; ++i) {
        const std::string line = draw_line(site, random);
        if (line.empty()) {
            return {};
        }
        text += line;
    }
    return text;
}

template <size_t n_lines>
std::optional<Edit> insertion(const EditSite& site, Random& random) {
    const Lines above = site.sample.above;
    if (above.size() < 2 * n_lines) {
        return std::nullopt;
    }
    const auto begin = draw_block(above, n_lines, random);
    if (!begin) {
        return std::nullopt;
    }
    return Edit{joined_without(above, indices(*begin, n_lines)), joined(above)};
}

std::optional<Edit> deletion(const EditSite& site, Random& random) {
    const Lines above = site.sample.above;
    const size_t at = random.below(above.size() + 1);
    const std::string foreign = draw_foreign_lines(site, random);
    if (foreign.empty()) {
        return std::nullopt;
    }
    return Edit{joined(above.first(at)) + foreign + joined(above.subspan(at)), joined(above)};
}

std::optional<Edit> edition(const EditSite& site, Random& random) {
    const Lines above = site.sample.above;
    if (above.size() < 3 * lines_edited) {
        return std::nullopt;
    }
    const auto begin = draw_block(above, lines_edited, random);
    const std::string foreign = draw_foreign_lines(site, random);
    if (!begin || foreign.empty()) {
        return std::nullopt;
    }
    // At least one kept line lies between the two places.
    const size_t end = *begin + lines_edited;
    const size_t places_ahead = *begin;
    const size_t places_behind = above.size() - end;
    const size_t drawn = random.below(places_ahead + places_behind);
    const size_t at = drawn < places_ahead ? drawn : end + 1 + (drawn - places_ahead);
    std::string before;
    for (size_t i = 0; i <= above.size(); ++i) {
        before += i == at ? foreign : "";
        before += i < above.size() && (i < *begin || i >= end) ? above[i] : "";
    }
    return Edit{std::move(before), joined(above)};
}

// Lines that are not blank, most like the target first: by edit distance as a share of the longer line, so
// that short lines have no advantage. Of equals the one that is nearer to the target comes first.
std::vector<size_t> by_likeness(const EditSite& site) {
    const Lines above = site.sample.above;
    std::vector<size_t> order;
    std::vector<double> distance(above.size());
    const std::string_view target = trimmed(site.sample.target);
    for (size_t i = above.size(); i-- > 0;) {
        const std::string_view line = trimmed(above[i]);
        if (!line.empty()) {
            distance[i] = static_cast<double>(edit_distance(line, target)) /
                          static_cast<double>(std::max(line.size(), target.size()));
            order.push_back(i);
        }
    }
    std::ranges::stable_sort(order, {}, [&distance](size_t i) { return distance[i]; });
    return order;
}

template <size_t n_lines>
std::optional<Edit> contextual_single(const EditSite& site, Random& /*random*/) {
    const Lines above = site.sample.above;
    const std::vector<size_t> order = by_likeness(site);
    if (above.size() < 2 * n_lines || order.empty()) {
        return std::nullopt;
    }
    const size_t ahead = std::min(order.front(), n_lines / 2);
    const size_t begin = std::min(order.front() - ahead, above.size() - n_lines);
    return Edit{joined_without(above, indices(begin, n_lines)), joined(above)};
}

template <size_t n_lines>
std::optional<Edit> contextual_multi(const EditSite& site, Random& /*random*/) {
    const Lines above = site.sample.above;
    const std::vector<size_t> order = by_likeness(site);
    if (order.size() < 2 * n_lines) {
        return std::nullopt;
    }
    return Edit{joined_without(above, std::span(order).first(n_lines)), joined(above)};
}

// A name that the site does not hold, as somebody would have chosen it in the language.
std::string draw_new_name(const EditSite& site, const std::string& text, Random& random) {
    const std::vector<std::string_view> taken = identifiers(text);
    for (int draw = 0; draw < draws_max; ++draw) {
        const std::string line = draw_line(site, random);
        const std::vector<std::string_view> names = identifiers(line);
        if (!names.empty()) {
            const std::string_view name = names[random.below(names.size())];
            if (std::ranges::find(taken, name) == taken.end()) {
                return std::string(name);
            }
        }
    }
    return {};
}

std::string renamed(std::string_view text, std::string_view from, std::string_view to) {
    std::string result;
    const char* copied = text.data();
    for (const std::string_view word : identifiers(text)) {
        if (word == from) {
            result.append(copied, word.data());
            result += to;
            copied = word.data() + word.size();
        }
    }
    result.append(copied, text.data() + text.size());
    return result;
}

// Words of a message are no names.
std::string without_quoted(std::string_view line) {
    std::string text;
    char quote = 0;
    for (const char c : line) {
        if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == quote) {
            quote = 0;
        } else if (quote == 0) {
            text += c;
        }
    }
    return text;
}

std::optional<Edit> rename(const EditSite& site, Random& random) {
    const std::string after = joined(site.sample.above);
    const std::vector<std::string_view> above = identifiers(after);
    const std::string unquoted = without_quoted(site.sample.target);
    std::vector<std::string_view> candidates = identifiers(unquoted);
    std::erase_if(candidates, [&above](std::string_view name) {
        return static_cast<size_t>(std::ranges::count(above, name)) < occurrences_min;
    });
    if (candidates.empty()) {
        return std::nullopt;
    }
    const std::string_view name = candidates[random.below(candidates.size())];
    const std::string old_name = draw_new_name(site, after + std::string(site.sample.target), random);
    if (old_name.empty()) {
        return std::nullopt;
    }
    return Edit{renamed(after, name, old_name), after};
}

// As many lines in a row as asked for, of another prompt of the language; empty if the draws met none.
std::string draw_snippet(const EditSite& site, size_t n_lines, Random& random) {
    for (int draw = 0; draw < draws_max; ++draw) {
        const Lines lines = site.pool[random.below(site.pool.size())];
        if (lines.data() != site.sample.above.data() && lines.size() >= n_lines) {
            return joined(lines.subspan(random.below(lines.size() - n_lines + 1), n_lines));
        }
    }
    return {};
}

std::optional<Edit> ring(const EditSite& site, Random& random) {
    const std::vector<LineRange>& snippets = site.sample.context;
    if (snippets.empty()) {
        return std::nullopt;
    }
    const Lines above = site.sample.above;
    const LineRange newest = snippets.back();
    const std::string oldest = draw_snippet(site, newest.end - newest.begin, random);
    if (oldest.empty()) {
        return std::nullopt;
    }
    const size_t first = snippets.front().begin;
    return Edit{joined(above.first(first)) + oldest + joined(above.subspan(first, newest.begin - first)) +
                    joined(above.subspan(newest.end)),
                joined(above)};
}

constexpr std::array<EditKind, 15> kinds = {{
    {"insertion", insertion<5>},
    {"deletion", deletion},
    {"edition", edition},
    {"contextual-single-5", contextual_single<5>},
    {"contextual-single-15", contextual_single<15>},
    {"contextual-multi-5", contextual_multi<5>},
    {"contextual-multi-15", contextual_multi<15>},
    {"insertion-3", insertion<3>},
    {"rename", rename},
    {"ring", ring},
    {"typing", type_lines},
    {"keystrokes-20", type_keys<20>},
    {"keystrokes-60", type_keys<60>},
    {"keystrokes-120", type_keys<120>},
    {"jump", jump_cursor},
}};

} // namespace

std::span<const EditKind> edit_kinds() {
    return kinds;
}

const EditKind* find_edit_kind(std::string_view name) {
    const auto* const found = std::ranges::find(kinds, name, &EditKind::name);
    return found == kinds.end() ? nullptr : &*found;
}

} // namespace pie
