#include "eval/middle_edits.h"

#include "eval/rows.h"
#include "eval/source_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

using Lines = std::span<const std::string>;

constexpr size_t lines_typed_max = 5;
constexpr size_t lines_jumped_min = 10;
constexpr size_t lines_jumped_max = 60;

bool is_blank(std::string_view line) {
    return trimmed(line).empty();
}

std::string middle_prompt(std::string_view prefix, std::string_view suffix) {
    return fmt::format("{}{}{}{}{}", prefix_marker, prefix, suffix_marker, suffix, middle_marker);
}

bool is_inside_character(const std::string& text, size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
}

} // namespace

std::optional<Edit> type_lines(const EditSite& site, Random& random) {
    const Lines above = site.sample.above;
    const size_t typed = random.between(1, lines_typed_max);
    if (above.size() <= typed || site.sample.below.empty() ||
        std::ranges::all_of(above.last(typed), is_blank)) {
        return std::nullopt;
    }
    const std::string suffix = joined(site.sample.below);
    return Edit{middle_prompt(joined(above.first(above.size() - typed)), suffix),
                middle_prompt(joined(above), suffix)};
}

std::optional<Edit> type_keys(const EditSite& site, size_t n_keys) {
    const std::string prefix = joined(site.sample.above);
    const std::string suffix = joined(site.sample.below);
    if (prefix.size() < 2 * n_keys || suffix.empty()) {
        return std::nullopt;
    }
    std::vector<std::string> prompts;
    for (size_t end = prefix.size() - n_keys; end <= prefix.size(); ++end) {
        if (!is_inside_character(prefix, end)) {
            prompts.push_back(middle_prompt(std::string_view(prefix).substr(0, end), suffix));
        }
    }
    Edit edit{prompts.front(), prompts.back()};
    edit.steps.assign(prompts.begin() + 1, prompts.end() - 1);
    return edit;
}

std::optional<Edit> jump_cursor(const EditSite& site, Random& random) {
    const Lines lines_above = site.sample.above;
    const Lines lines_below = site.sample.below;
    const size_t distance = random.between(lines_jumped_min, lines_jumped_max);
    const bool can_come_from_above = distance < lines_above.size();
    const bool can_come_from_below = distance < lines_below.size();
    if (lines_below.empty() || (!can_come_from_above && !can_come_from_below)) {
        return std::nullopt;
    }
    const bool drawn_above = random.below(2) == 0;
    const bool from_above = can_come_from_above && (drawn_above || !can_come_from_below);
    const std::string above = joined(lines_above);
    const std::string below = joined(lines_below);
    const std::string passed =
        from_above ? joined(lines_above.last(distance)) : joined(lines_below.first(distance));
    const std::string text = above + below;
    const size_t cursor = from_above ? above.size() - passed.size() : above.size() + passed.size();
    return Edit{middle_prompt(text.substr(0, cursor), text.substr(cursor)), middle_prompt(above, below)};
}

} // namespace pie
