#include "prompt/window.h"

#include "base/check.h"
#include "prompt/inner_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>

namespace pie {
namespace {

// No text is tokenised on the chance that it may fit if it has more bytes than this for each token. Code has
// three or four.
constexpr size_t token_bytes_max = 16;

enum class Direction { backward, forward };

bool inside_character(std::string_view text, size_t place) {
    return place < text.size() && (static_cast<unsigned char>(text[place]) & 0xC0U) == 0x80U;
}

bool at_line_begin(std::string_view text, size_t place) {
    return place == 0 || text[place - 1] == '\n';
}

// Room for text, divided between the two sides of the cursor. What is left free is for typing.
struct Shares {
    size_t prefix = 0;
    size_t suffix = 0;
};

Shares divide(size_t tokens, LayoutKind kind) {
    const size_t suffix = kind == LayoutKind::plain ? 0 : tokens / 4;
    return {.prefix = tokens - suffix, .suffix = suffix};
}

size_t placed_tokens(size_t room_tokens) {
    return room_tokens - room_tokens / 8;
}

// The text on one side of the cursor, measured in blocks of whole lines from the cursor outwards.
class Side {
  public:
    Side(const Vocabulary& vocabulary, std::string_view text, Direction direction, size_t limit_tokens);

    // The number of tokens on this side, where it is within the limit.
    std::optional<size_t> total_tokens() const {
        return stops_.back().bytes == text_.size() ? std::optional(stops_.back().tokens) : std::nullopt;
    }
    // How many bytes next to the cursor have about so many tokens.
    size_t bytes_for(size_t tokens) const;

  private:
    struct Stop {
        size_t bytes = 0;
        size_t tokens = 0;
    };

    size_t count(size_t begin, size_t end) const;
    size_t line_end(size_t from) const;
    size_t part_of_line(Stop from, size_t tokens) const;

    const Vocabulary* vocabulary_;
    std::string_view text_;
    Direction direction_;
    std::vector<Stop> stops_ = {Stop{}}; // distances from the cursor
};

Side::Side(const Vocabulary& vocabulary, std::string_view text, Direction direction, size_t limit_tokens)
    : vocabulary_(&vocabulary), text_(text), direction_(direction) {
    // Lines are measured some at a time: a call of the tokeniser has its price.
    const size_t block_bytes_min = limit_tokens / 16;
    while (stops_.back().bytes < text_.size()) {
        const Stop last = stops_.back();
        size_t end = line_end(last.bytes);
        while (end < text_.size() && end - last.bytes < block_bytes_min) {
            end = line_end(end);
        }
        if (end - last.bytes > limit_tokens * token_bytes_max) {
            return;
        }
        const size_t tokens = last.tokens + count(last.bytes, end);
        if (tokens > limit_tokens) {
            return;
        }
        stops_.push_back({.bytes = end, .tokens = tokens});
    }
}

// Between two distances from the cursor.
size_t Side::count(size_t begin, size_t end) const {
    const size_t at = direction_ == Direction::forward ? begin : text_.size() - end;
    return tokenize_inside(*vocabulary_, text_.substr(at, end - begin)).size();
}

// The distance at which the line ends that begins (seen from the cursor) at `from`.
size_t Side::line_end(size_t from) const {
    if (direction_ == Direction::forward) {
        return std::min(text_.find('\n', from), text_.size() - 1) + 1;
    }
    const size_t place = text_.size() - from;
    const size_t before = place < 2 ? std::string_view::npos : text_.rfind('\n', place - 2);
    return before == std::string_view::npos ? text_.size() : text_.size() - before - 1;
}

size_t Side::bytes_for(size_t tokens) const {
    const auto behind =
        std::upper_bound(stops_.begin(), stops_.end(), tokens,
                         [](size_t wanted, const Stop& stop) { return wanted < stop.tokens; });
    const Stop stop = *std::prev(behind);
    // Lines that leave a good part of the room empty are cut inside.
    if (stop.bytes == text_.size() || stop.tokens >= tokens - tokens / 4) {
        return stop.bytes;
    }
    return part_of_line(stop, tokens - stop.tokens);
}

size_t Side::part_of_line(Stop from, size_t tokens) const {
    size_t length = std::min(tokens * token_bytes_max, text_.size() - from.bytes);
    while (length > 0) {
        const size_t end = from.bytes + length;
        const size_t place = direction_ == Direction::forward ? end : text_.size() - end;
        if (inside_character(text_, place)) {
            --length;
            continue;
        }
        const size_t counted = count(from.bytes, end);
        if (counted <= tokens) {
            return end;
        }
        length = std::min(length - 1, length * tokens / counted);
    }
    return from.bytes;
}

} // namespace

Result<PromptWindow> PromptFitter::fit(std::string_view text, ByteOffset cursor, size_t budget_tokens,
                                       size_t reserve_tokens) {
    PIE_CHECK(cursor.value <= text.size(), "a cursor outside the text");
    PIE_CHECK(reserve_tokens <= budget_tokens, "a reserve beyond the budget");
    const size_t markers = layout_->marker_count();
    if (budget_tokens - reserve_tokens <= markers) {
        return fail(
            ErrorCode::too_large,
            fmt::format("a prompt of {} tokens has no room for text beside its {} markers; use a larger "
                        "context or complete fewer tokens",
                        budget_tokens - reserve_tokens, markers));
    }
    const Request request{
        .text = layout_->kind() == LayoutKind::plain ? text.substr(0, cursor.value) : text,
        .cursor = cursor.value,
        .budget_tokens = budget_tokens,
        .reserve_tokens = reserve_tokens,
        .room_tokens = budget_tokens - markers,
    };
    PromptWindow window;
    if (!try_kept(request, window.tokens)) {
        place(request, window.tokens);
    }
    const size_t end = request.text.size() - cut_.back;
    const std::string_view front = request.text.substr(0, cut_.front);
    const std::string_view back = request.text.substr(end);
    window.text = {.prefix = request.text.substr(cut_.front, cursor.value - cut_.front),
                   .suffix = request.text.substr(cursor.value, end - cursor.value)};
    window.prefix_lines_cut = static_cast<size_t>(std::count(front.begin(), front.end(), '\n')) +
                              (at_line_begin(request.text, cut_.front) ? 0 : 1);
    window.suffix_lines_cut = static_cast<size_t>(std::count(back.begin(), back.end(), '\n')) +
                              (back.empty() || back.ends_with('\n') ? 0 : 1);
    return window;
}

std::vector<TokenId> PromptFitter::tokens_within(const Request& request) const {
    const size_t end = request.text.size() - cut_.back;
    return layout_->tokens({.prefix = request.text.substr(cut_.front, request.cursor - cut_.front),
                            .suffix = request.text.substr(request.cursor, end - request.cursor)});
}

// An edit outside of the window shifts its ends against the lines; they move inwards to the next ones. False
// where the window does not hold the cursor.
bool PromptFitter::realign(const Request& request) {
    const std::string_view text = request.text;
    if (cut_.front > request.cursor || cut_.back > text.size() - request.cursor) {
        return false;
    }
    if (cut_.front_between_lines && !at_line_begin(text, cut_.front)) {
        cut_.front = std::min(text.find('\n', cut_.front), text.size() - 1) + 1;
    }
    const size_t end = text.size() - cut_.back;
    if (cut_.back_between_lines && cut_.back > 0 && !at_line_begin(text, end)) {
        const size_t line_break = text.rfind('\n', end - 1);
        cut_.back = text.size() - (line_break == std::string_view::npos ? 0 : line_break + 1);
    }
    return cut_.front <= request.cursor && cut_.back <= text.size() - request.cursor &&
           !inside_character(text, cut_.front) && !inside_character(text, text.size() - cut_.back);
}

// Whether the window of the last text still serves this one.
bool PromptFitter::try_kept(const Request& request, std::vector<TokenId>& tokens) {
    if (!realign(request) ||
        request.text.size() - cut_.back - cut_.front > request.room_tokens * token_bytes_max) {
        return false;
    }
    tokens = tokens_within(request);
    return tokens.size() <= request.budget_tokens && balanced(tokens);
}

bool PromptFitter::balanced(const std::vector<TokenId>& tokens) const {
    if (is_whole()) {
        return true;
    }
    const size_t room = cut_.budget_tokens - layout_->marker_count();
    const Shares shares = divide(placed_tokens(room), layout_->kind());
    const size_t prefix = layout_->prefix_token_count();
    const size_t suffix = tokens.size() - layout_->marker_count() - prefix;
    return tokens.size() <= cut_.budget_tokens && prefix + suffix >= room / 2 &&
           (cut_.front == 0 || prefix >= shares.prefix / 2) &&
           (cut_.back == 0 || suffix >= shares.suffix / 2);
}

void PromptFitter::place(const Request& request, std::vector<TokenId>& tokens) {
    const Side before(layout_->vocabulary(), request.text.substr(0, request.cursor), Direction::backward,
                      request.room_tokens);
    const Side behind(layout_->vocabulary(), request.text.substr(request.cursor), Direction::forward,
                      request.room_tokens);
    const auto prefix = before.total_tokens();
    const auto suffix = behind.total_tokens();
    const bool whole = prefix && suffix && *prefix + *suffix <= request.room_tokens;
    cut_.budget_tokens = request.budget_tokens - request.reserve_tokens;
    // The measure is that of lines by themselves; the prompt may have some tokens more.
    for (size_t room = whole ? request.room_tokens
                             : placed_tokens(request.room_tokens - request.reserve_tokens);
         ; room -= (room + 7) / 8) {
        Shares shares = divide(room, layout_->kind());
        if (prefix && *prefix <= shares.prefix) {
            shares.suffix = room - *prefix;
        } else if (suffix && *suffix <= shares.suffix) {
            shares.prefix = room - *suffix;
        }
        cut_.front = request.cursor - before.bytes_for(shares.prefix);
        cut_.back = request.text.size() - request.cursor - behind.bytes_for(shares.suffix);
        cut_.front_between_lines = at_line_begin(request.text, cut_.front);
        cut_.back_between_lines = at_line_begin(request.text, request.text.size() - cut_.back);
        tokens = tokens_within(request);
        if (tokens.size() <= (is_whole() ? request.budget_tokens : cut_.budget_tokens)) {
            return;
        }
        PIE_CHECK(room > 0, "a prompt without text is over the budget");
    }
}

} // namespace pie
