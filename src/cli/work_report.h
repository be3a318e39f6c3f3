#pragma once

// What commands tell a person about the engine's work, in one voice: progress on standard error, times, what
// of a file was left out, and names of enumerators.

#include "base/progress.h"
#include "prompt/layout.h"
#include "session/live_document.h"

#include <functional>
#include <string>
#include <string_view>

namespace pie {

// A progress bar for the tokens of one update. `passing` ones leave nothing where results are printed between
// them, so off a terminal nothing at all.
enum class ProgressTrace { kept, passing };

class WorkProgress {
  public:
    explicit WorkProgress(ProgressTrace trace = ProgressTrace::kept);
    std::function<void(int32_t done, int32_t total)> tokens(std::string label);

  private:
    Progress progress_;
};

// "8.4 ms", "61 ms", "9.80 s"
std::string milliseconds_text(double milliseconds);

// "197", "9.8", "0.34": how many times as long, with two digits at least.
std::string times_text(double ratio);

// On standard error, where the context did not hold the whole file.
void print_lines_cut(const LinesCut& cut);

// Model output as it may go to a terminal: line breaks and tabs stay, other control characters do not. Text
// that goes to a file or a pipe stays as it is.
std::string printable_code(std::string_view text);

const char* layout_name(LayoutKind layout);
const char* finish_name(FinishReason reason);

} // namespace pie
