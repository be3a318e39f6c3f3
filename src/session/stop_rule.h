#pragma once

// Decides where the text of a completion ends, and how much of what is written so far is sure to belong to
// it. The answers do not depend on how the text is cut into tokens; only the time limit does.
//
// Thread rule: one thread at a time; one rule serves one completion.

#include <pie/completion.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

class StopRule {
  public:
    explicit StopRule(const StopOptions& options);

    struct Step {
        std::string_view text; // that belongs to the completion for sure now; valid until the next call
        std::optional<FinishReason> finish;
        std::string_view stop_string = {}; // that ended it
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
        std::string_view stop_string = {};
    };
    std::optional<Cut> find_stop_string(size_t new_from) const;
    size_t begin_of(const std::string& string, size_t found_at) const;
    std::optional<Cut> find_small_indent(size_t new_from);
    std::optional<Cut> find_fence(size_t new_from);
    size_t length_held_back() const;
    std::string_view release(size_t end);

    StopOptions options_;
    size_t length_max_ = 0; // of a stop string
    std::string text_;
    size_t n_released_ = 0;
    bool begins_line_ = false;      // all blanks and backticks so far, where a fence may be
    size_t n_backticks_ = 0;        // of them
    std::optional<int32_t> indent_; // so far, of a line that holds nothing else yet; none for the first line
};

} // namespace pie
