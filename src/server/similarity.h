#pragma once

// How much of a new request a session's last text holds already. Editors send a window of lines around the
// cursor, and it slides: so lines count wherever they stand. While somebody types on the only line, or on a
// long one, no line is whole, so common bytes at both ends count too.
//
// Pure functions and values; any thread.

#include <pie/context.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

// The lines of texts, as many times as they stand there, without their order.
class LineSet {
  public:
    void add(std::string_view text);
    size_t n_bytes() const { return n_bytes_; }
    size_t bytes_shared_with(const LineSet& other) const;

  private:
    std::vector<std::pair<uint64_t, uint32_t>> lines_; // hash and length, sorted
    size_t n_bytes_ = 0;
};

// What a request shows the model.
struct PromptContent {
    std::string text;
    size_t cursor = 0;
    std::vector<ContextChunk> chunks = {};
};

// The same with what is needed to compare it with many others.
class ContentPrint {
  public:
    ContentPrint() = default;
    explicit ContentPrint(PromptContent content);

    const PromptContent& content() const { return content_; }
    size_t n_bytes() const { return text_lines_.n_bytes() + chunk_lines_.n_bytes(); }

    // From 0 to 1: the part of the larger one that both hold.
    double share_with(const ContentPrint& other) const;

    size_t chunk_bytes_shared_with(const ContentPrint& other) const {
        return chunk_lines_.bytes_shared_with(other.chunk_lines_);
    }

    // Whether this is what somebody sends who typed on after the other: the same but for a few bytes more
    // before the cursor.
    bool continues(const ContentPrint& other) const;

  private:
    PromptContent content_;
    LineSet text_lines_;
    LineSet chunk_lines_;
};

} // namespace pie
