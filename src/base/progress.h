#pragma once

// Progress of long work, told to a person: a bar with rate and time left on a terminal, a line now and then
// elsewhere, or nothing. The work calls start, update as often as it likes, and finish; what is drawn, and
// how often, is decided here. A Progress belongs to the one thread that does the work. What is on the
// terminal when it goes is left on a line of its own.

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pie {

enum class ProgressUnit { bytes, items };
enum class ProgressStyle { bar, lines, silent };

// Where and how to draw; the command line's terminal.h makes it for standard error.
struct ProgressOutput {
    ProgressStyle style = ProgressStyle::silent;
    int columns = 80;
    std::function<void(std::string_view)> write; // not called when silent
    bool leaves_summary = true;                  // a line on how long whole work took, if that was long
};

struct ProgressState {
    std::string label;
    ProgressUnit unit = ProgressUnit::bytes;
    uint64_t done = 0;
    uint64_t total = 0;      // 0: unknown
    double rate_per_s = 0.0; // 0: not known yet
};

// "model [#####.....]  43 % 212/491 MB 78.3 MB/s 4 s left", in less than `columns`.
std::string progress_bar(const ProgressState& state, int columns);

// "model: 212/491 MB (43 %), 78.3 MB/s, 4 s left"
std::string progress_line(const ProgressState& state);

class Progress {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Progress(ProgressOutput output = {}, std::function<Clock::time_point()> now = Clock::now);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // `done` is what an earlier run left; it does not count into the rate. Ends work that is still going on.
    void start(std::string label, ProgressUnit unit, uint64_t total, uint64_t done = 0);
    void update(uint64_t done);
    void finish(); // the work is whole: the bar gives way to its summary
    void stop();   // the work is not whole: the bar stays, as far as it came; if it came nowhere, it goes

    // A line of its own for the person who waits, above the bar.
    void note(std::string_view line);

  private:
    struct Sample {
        Clock::time_point time;
        uint64_t done;
    };

    void draw(Clock::time_point time);
    double rate_per_s(Clock::time_point time) const;

    ProgressOutput output_;
    std::function<Clock::time_point()> now_;
    ProgressState state_;
    bool working_ = false;
    uint64_t done_at_start_ = 0;
    Clock::time_point started_;
    std::optional<Clock::time_point> drawn_;
    std::deque<Sample> samples_; // of the last seconds, at most one for each drawing interval; oldest first
};

} // namespace pie
