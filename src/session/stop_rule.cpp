#include "session/stop_rule.h"

#include <algorithm>

namespace pie {
namespace {

// Whether the end of a text is the beginning of a stop string; of one that begins with "\n" the line may end
// in "\r\n".
bool may_begin(std::string_view tail, std::string_view string) {
    const bool has_line_end = tail.starts_with('\r') && string.starts_with('\n');
    return string.starts_with(tail) || (has_line_end && string.starts_with(tail.substr(1)));
}

} // namespace

StopRule::StopRule(const StopOptions& options)
    : options_(options), begins_line_(options.fence == FenceStop::anywhere) {
    std::erase_if(options_.strings, [](const std::string& string) { return string.empty(); });
    for (const std::string& string : options_.strings) {
        length_max_ = std::max(length_max_, string.size());
    }
}

StopRule::Step StopRule::push(std::string_view text, double milliseconds) {
    const size_t new_from = text_.size();
    text_ += text;
    std::optional<Cut> cut = find_stop_string(new_from);
    for (const auto& other : {find_small_indent(new_from), find_fence(new_from)}) {
        if (other && (!cut || other->end < cut->end)) {
            cut = other;
        }
    }
    if (cut) {
        text_.resize(cut->begin);
        return {rest(), cut->reason, cut->stop_string};
    }
    const bool late =
        options_.predict_milliseconds_max > 0 && milliseconds > options_.predict_milliseconds_max;
    if (late && text.find('\n') != std::string_view::npos) {
        return {rest(), FinishReason::time_limit};
    }
    return {release(text_.size() - length_held_back()), std::nullopt};
}

std::string_view StopRule::rest() {
    return release(text_.size());
}

// The one that is complete first; of those complete at the same character, the one that begins first.
std::optional<StopRule::Cut> StopRule::find_stop_string(size_t new_from) const {
    std::optional<Cut> first;
    for (const std::string& string : options_.strings) {
        const size_t from = new_from >= string.size() ? new_from - string.size() + 1 : 0;
        const size_t begin = text_.find(string, from);
        if (begin == std::string::npos) {
            continue;
        }
        const Cut cut{begin + string.size(), begin_of(string, begin), FinishReason::stop_string, string};
        if (!first || cut.end < first->end || (cut.end == first->end && cut.begin < first->begin)) {
            first = cut;
        }
    }
    return first;
}

// Where lines end in "\r\n", a stop string that begins with "\n" ends the text before both.
size_t StopRule::begin_of(const std::string& string, size_t found_at) const {
    const bool ends_line = string.starts_with('\n') && found_at > 0 && text_[found_at - 1] == '\r';
    return ends_line ? found_at - 1 : found_at;
}

std::optional<StopRule::Cut> StopRule::find_small_indent(size_t new_from) {
    for (size_t i = new_from; i < text_.size(); ++i) {
        const char c = text_[i];
        if (indent_ && (c == ' ' || c == '\t')) {
            ++*indent_;
            continue;
        }
        if (indent_ && *indent_ < options_.n_indent) {
            return Cut{i + 1, i, FinishReason::indentation};
        }
        indent_ = c == '\n' ? std::optional(0) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<StopRule::Cut> StopRule::find_fence(size_t new_from) {
    constexpr size_t n_backticks_min = 3;
    for (size_t i = new_from; options_.fence != FenceStop::never && i < text_.size(); ++i) {
        const char c = text_[i];
        if (begins_line_ && c == '`') {
            if (++n_backticks_ == n_backticks_min) {
                return Cut{i + 1, i + 1 - n_backticks_min, FinishReason::fence};
            }
            continue;
        }
        const bool is_indent = begins_line_ && n_backticks_ == 0 && (c == ' ' || c == '\t');
        begins_line_ = is_indent || c == '\n';
        n_backticks_ = 0;
    }
    return std::nullopt;
}

// The longest end of the text that begins a fence or a stop string, or the end of the line before one.
size_t StopRule::length_held_back() const {
    const std::string_view text(text_);
    const size_t length_end = std::min(length_max_ + 1, text.size() - n_released_ + 1);
    for (size_t length = length_end; length-- > 1;) {
        const std::string_view tail = text.substr(text.size() - length);
        if (std::ranges::any_of(options_.strings,
                                [tail](const std::string& s) { return may_begin(tail, s); })) {
            return std::max(length, n_backticks_);
        }
    }
    return n_backticks_;
}

std::string_view StopRule::release(size_t end) {
    const std::string_view released = std::string_view(text_).substr(n_released_, end - n_released_);
    n_released_ = end;
    return released;
}

} // namespace pie
