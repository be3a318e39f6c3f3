#pragma once

// One text that is being edited: valid UTF-8, a version that counts its edits, and a line index. Places are
// byte offsets inside; people's LINE:COL are converted at the edge.
//
// Thread rule: one thread at a time; a copy is an immutable snapshot for others.

#include <pie/result.h>
#include <pie/text_edit.h>
#include <pie/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// LINE:COL as editors show it: both count from 1, columns in characters (Unicode code points), and the column
// behind the last character of a line is a place too.
struct LineColumn {
    size_t line = 1;
    size_t column = 1;

    bool operator==(const LineColumn&) const = default;
};

class Document {
  public:
    // Far beyond any source file that a person edits, and small enough to be handled whole on each keystroke.
    static constexpr uint64_t size_bytes_max = 16'000'000;

    // Errors: corrupt (binary or invalid UTF-8; says at which byte and line), too_large.
    static Result<Document> from_text(std::string text);
    // Errors: those, not_found, io.
    static Result<Document> open(const std::filesystem::path& path);

    std::string_view text() const { return text_; }
    int64_t version() const { return version_; }
    size_t line_count() const { return line_begins_.size(); }
    // Without its line break, "\n" or "\r\n".
    std::string_view line(LineIndex line) const;

    // Errors: invalid_argument where the place is outside the text (says how long the text or line is).
    Result<ByteOffset> offset(LineColumn place) const;
    // The inverse. A place within a character or a line break counts as the one before it.
    LineColumn place(ByteOffset offset) const;

    // Errors: invalid_argument (range outside the text, reversed, or inside a character), corrupt (text not
    // UTF-8), too_large. The document is unchanged then.
    Result<void> apply(const TextEdit& edit);

  private:
    explicit Document(std::string text);
    void check_invariant() const;

    std::string text_;
    int64_t version_ = 0;
    std::vector<ByteOffset> line_begins_; // ascending; the first is 0
};

} // namespace pie
