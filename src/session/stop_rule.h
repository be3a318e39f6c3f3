#pragma once

// Decides where the text of a completion ends, and how much of what is written so far is sure to belong to
// it. The answers do not depend on how the text is cut into tokens; only the time limit does.
//
// Thread rule: one thread at a time; one rule serves one completion.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

enum class FinishReason {
    end_of_text, // the model said that it is done
    length,      // n_predict tokens
    context,     // no cell was left
    stopped,     // the receiver of the text said so
    stop_string, // one of them was written
    indentation, // a line was indented too little
    time_limit,
};

struct StopOptions {
    // The text ends before the first of them. Empty ones are ignored.
    std::vector<std::string> strings = {};
    // The text ends where a line, other than the first, has fewer than n_indent spaces and tabs before
    // something else; an empty line counts. What space it has stays. 0: off.
    int32_t n_indent = 0;
    // From the first token on; it takes effect with a token that writes a line break, so that the last line
    // is whole. 0: none.
    double predict_milliseconds_max = 0;
};

class StopRule {
  public:
    explicit StopRule(const StopOptions& options);

    struct Step {
        std::string_view text; // that belongs to the completion for sure now; valid until the next call
        std::optional<FinishReason> finish;
    };

    // `text` is what one token wrote, `milliseconds` the time since the first one.
    Step push(std::string_view text, double milliseconds);

    // What was held back because it might have begun a stop string, for a completion that ends otherwise.
    std::string_view rest();

  private:
    struct Cut {
        size_t end;   // of the text that shows that the completion is over
        size_t begin; // where the completion ends
        FinishReason reason;
    };
    std::optional<Cut> find_stop_string(size_t new_from) const;
    std::optional<Cut> find_small_indent(size_t new_from);
    size_t length_held_back() const;
    std::string_view release(size_t end);

    StopOptions options_;
    size_t length_max_ = 0; // of a stop string
    std::string text_;
    size_t n_released_ = 0;
    std::optional<int32_t> indent_; // so far, of a line that holds nothing else yet; none for the first line
};

} // namespace pie
