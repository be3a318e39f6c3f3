#include "text/document.h"

#include "base/check.h"
#include "base/files.h"
#include "base/units.h"

#include <fmt/format.h>
#include <utf8.h>

#include <algorithm>
#include <cstddef>

namespace pie {
namespace {

bool is_continuation(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

size_t count_characters(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

bool inside_character(std::string_view text, size_t offset) {
    return offset < text.size() && is_continuation(text[offset]);
}

void append_line_begins(std::string_view text, size_t text_begin, std::vector<ByteOffset>& begins) {
    for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
        begins.emplace_back(text_begin + at + 1);
    }
}

std::string count_of(size_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

Result<void> check_text(std::string_view text) {
    const size_t nul = std::min(text.find('\0'), text.size());
    const auto invalid = static_cast<size_t>(utf8::find_invalid(text.begin(), text.end()) - text.begin());
    const size_t bad = std::min(nul, invalid);
    if (bad == text.size()) {
        return {};
    }
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    return fail(
        ErrorCode::corrupt,
        nul < invalid
            ? fmt::format("binary data, not text: there is a NUL byte at offset {} (line {})", bad, line)
            : fmt::format("invalid UTF-8 at byte offset {} (line {}); convert the text to UTF-8 first", bad,
                          line));
}

Result<void> check_size(uint64_t size_bytes) {
    if (size_bytes > Document::size_bytes_max) {
        return fail(ErrorCode::too_large,
                    fmt::format("the text has {}, and at most {} can be edited", format_bytes(size_bytes),
                                format_bytes(Document::size_bytes_max)));
    }
    return {};
}

} // namespace

Document::Document(std::string text) : text_(std::move(text)), line_begins_{ByteOffset(0)} {
    append_line_begins(text_, 0, line_begins_);
}

Result<Document> Document::from_text(std::string text) {
    PIE_TRY(check_size(text.size()));
    PIE_TRY(check_text(text));
    return Document(std::move(text));
}

Result<Document> Document::open(const std::filesystem::path& path) {
    PIE_ASSIGN(std::string text, read_file(path, size_bytes_max));
    auto document = from_text(std::move(text));
    if (!document) {
        return fail(document.error().code, fmt::format("'{}': {}", path.string(), document.error().message));
    }
    return document;
}

std::string_view Document::line(LineIndex line) const {
    PIE_CHECK(line.value < line_count(), "a line outside the text");
    const size_t begin = line_begins_[line.value].value;
    if (line.value + 1 == line_count()) {
        return text().substr(begin);
    }
    size_t end = line_begins_[line.value + 1].value - 1;
    if (end > begin && text_[end - 1] == '\r') {
        --end;
    }
    return text().substr(begin, end - begin);
}

Result<ByteOffset> Document::offset(LineColumn place) const {
    if (place.line < 1 || place.column < 1) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("there is no place {}:{}: lines and columns count from 1", place.line, place.column));
    }
    if (place.line > line_count()) {
        return fail(ErrorCode::invalid_argument, fmt::format("there is no line {}: the text has {}",
                                                             place.line, count_of(line_count(), "line")));
    }
    const LineIndex index(place.line - 1);
    const std::string_view text = line(index);
    size_t at = 0;
    for (size_t column = 1; column < place.column; ++column) {
        if (at == text.size()) {
            return fail(
                ErrorCode::invalid_argument,
                fmt::format("there is no column {} in line {}: the line has {}, so its last column is {}",
                            place.column, place.line, count_of(column - 1, "character"), column));
        }
        do {
            ++at;
        } while (inside_character(text, at));
    }
    return line_begins_[index.value] + at;
}

LineColumn Document::place(ByteOffset offset) const {
    PIE_CHECK(offset.value <= text_.size(), "a place outside the text");
    const auto behind = std::upper_bound(line_begins_.begin(), line_begins_.end(), offset);
    const auto index = static_cast<size_t>(behind - line_begins_.begin()) - 1;
    const std::string_view text = line(LineIndex(index));
    size_t length = std::min(offset - line_begins_[index], text.size());
    while (inside_character(text, length)) {
        --length;
    }
    return {.line = index + 1, .column = count_characters(text.substr(0, length)) + 1};
}

Result<void> Document::apply(const TextEdit& edit) {
    const size_t begin = edit.begin.value;
    const size_t end = edit.end.value;
    if (begin > end || end > text_.size()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("an edit of bytes {} to {} is outside the text of {}", begin, end,
                                count_of(text_.size(), "byte")));
    }
    if (inside_character(text_, begin) || inside_character(text_, end)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("an edit of bytes {} to {} begins or ends inside a character", begin, end));
    }
    PIE_TRY(check_size(text_.size() - (end - begin) + edit.text.size()));
    PIE_TRY(check_text(edit.text));

    // A line begins behind its "\n", so exactly the begins in (begin, end] go.
    const auto first_gone = std::upper_bound(line_begins_.begin(), line_begins_.end(), edit.begin);
    const auto first_behind = std::upper_bound(first_gone, line_begins_.end(), edit.end);
    std::vector<ByteOffset> begins(line_begins_.begin(), first_gone);
    append_line_begins(edit.text, begin, begins);
    for (auto behind = first_behind; behind != line_begins_.end(); ++behind) {
        begins.emplace_back(behind->value - (end - begin) + edit.text.size());
    }
    line_begins_ = std::move(begins);
    text_.replace(begin, end - begin, edit.text);
    ++version_;
    check_invariant();
    return {};
}

void Document::check_invariant() const {
#ifdef PIE_DEV
    std::vector<ByteOffset> begins = {ByteOffset(0)};
    append_line_begins(text_, 0, begins);
    PIE_CHECK(begins == line_begins_, "the line index differs from the text");
#endif
}

} // namespace pie
