#pragma once

// Samples: a prompt with the line that follows, before any edit is made in it. They come as rows of published
// data sets or of `pie-lab eval build`, one JSON object a line; the edits that `pie-lab eval run` is asked
// for turn each into rows (eval/rows.h).
//
// Thread rule: plain data; pure functions.

#include <pie/result.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Lines [begin, end) of a prompt.
struct LineRange {
    size_t begin = 0;
    size_t end = 0;
};

struct Sample {
    std::string id;
    std::string setting; // "cross_file_first", "cross_file_random", "in_file", "problem", or another's own
    std::string language;
    std::vector<std::string> above; // the prompt, each line with its line break
    std::vector<LineRange> context; // of `above`: snippets of other files, each with its heading
    std::string target;             // the text that follows
    std::vector<std::string> below; // what follows the target in its file; empty where that is not known
    std::string test;               // a program's end that fails where the completion is wrong; may be empty
};

using TokenCounter = std::function<size_t(std::string_view text)>;

// What a sample's prompt may be, and how its tokens are counted.
struct PromptLimit {
    size_t tokens_max = 0;
    const TokenCounter& count_tokens;
};

} // namespace pie
