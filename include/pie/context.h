#pragma once

// What a model is shown of other files while it completes one.

#include <compare>
#include <string>
#include <vector>

namespace pie {

// Another file, or a part of it. All text is UTF-8.
struct ContextChunk {
    std::string file_name = {}; // as the model is to see it; only models trained on repositories do
    std::string text = {};

    auto operator<=>(const ContextChunk&) const = default;
};

struct DocumentContext {
    std::vector<ContextChunk> chunks = {};     // the most relevant ones last; they stand in this order
    std::string file_name = {};                // of the document that is completed
    bool shows_file_name = false;              // where there are no chunks, too
    std::string repository_name = "myproject"; // what llama-server says of every repository
};

} // namespace pie
