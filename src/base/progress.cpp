#include "base/progress.h"

#include "base/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pie {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Ten frames a second look smooth; one line in five seconds keeps a log short.
constexpr milliseconds bar_interval(100);
constexpr milliseconds line_interval(5000);

// The rate is the mean over this long: shorter jumps about, longer is slow to see that a network stalls.
constexpr seconds rate_window(5);

// Work that was done sooner leaves no line behind.
constexpr seconds worth_a_line(1);

constexpr int bar_cells_min = 8;
constexpr int bar_cells_max = 40;
constexpr std::string_view erase_line = "\r\x1b[K";

std::string amount_of(const ProgressState& state) {
    if (state.unit == ProgressUnit::items) {
        return state.total == 0 ? fmt::format("{}", state.done)
                                : fmt::format("{}/{}", state.done, state.total);
    }
    return state.total == 0 ? format_bytes(state.done) : format_bytes_of(state.done, state.total);
}

std::string rate_of(const ProgressState& state) {
    if (state.rate_per_s <= 0.0) {
        return "";
    }
    if (state.unit == ProgressUnit::items) {
        return fmt::format("{:.1f}/s", state.rate_per_s);
    }
    return format_bytes(static_cast<uint64_t>(state.rate_per_s)) + "/s";
}

std::string time_left_of(const ProgressState& state) {
    constexpr double seconds_max = 100.0 * 3600.0;
    if (state.rate_per_s <= 0.0 || state.total <= state.done) {
        return "";
    }
    const double left_s = std::ceil(static_cast<double>(state.total - state.done) / state.rate_per_s);
    return left_s > seconds_max ? "" : format_whole_seconds(seconds(static_cast<int64_t>(left_s))) + " left";
}

double share_of(const ProgressState& state) {
    const double share =
        static_cast<double>(state.done) / static_cast<double>(std::max<uint64_t>(state.total, 1));
    return std::clamp(share, 0.0, 1.0);
}

int percent_of(const ProgressState& state) {
    return static_cast<int>(share_of(state) * 100.0);
}

} // namespace

std::string progress_bar(const ProgressState& state, int columns) {
    // Fixed widths, so that nothing jumps about while the figures grow.
    std::string figures =
        fmt::format("{:>12} {:>9} {:<15}", amount_of(state), rate_of(state), time_left_of(state));
    std::string bar;
    if (state.total > 0) {
        const int taken = static_cast<int>(state.label.size() + figures.size()) + 10;
        const int cells = std::min(columns - 1 - taken, bar_cells_max);
        if (cells >= bar_cells_min) {
            const int full_cells = static_cast<int>(share_of(state) * cells);
            bar = fmt::format("[{}{}] ", std::string(full_cells, '#'), std::string(cells - full_cells, '.'));
        }
        bar += fmt::format("{:>3} % ", percent_of(state));
    }
    std::string line = fmt::format("{} {}{}", state.label, bar, figures);
    line.resize(std::min(line.size(), static_cast<size_t>(std::max(columns - 1, 0))));
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

std::string progress_line(const ProgressState& state) {
    std::string line = fmt::format("{}: {}", state.label, amount_of(state));
    if (state.total > 0) {
        line += fmt::format(" ({} %)", percent_of(state));
    }
    for (const std::string& figure : {rate_of(state), time_left_of(state)}) {
        if (!figure.empty()) {
            line += ", " + figure;
        }
    }
    return line;
}

Progress::Progress(ProgressOutput output, std::function<Clock::time_point()> now)
    : output_(std::move(output)), now_(std::move(now)) {}

Progress::~Progress() {
    stop();
}

void Progress::start(std::string label, ProgressUnit unit, uint64_t total, uint64_t done) {
    stop();
    state_ = ProgressState{std::move(label), unit, done, total, 0.0};
    done_at_start_ = done;
    started_ = now_();
    samples_ = {{started_, done}};
    working_ = true;
    drawn_.reset();
    if (output_.style == ProgressStyle::bar) {
        draw(started_);
    } else {
        drawn_ = started_;
    }
}

void Progress::update(uint64_t done) {
    state_.done = done;
    if (!working_ || output_.style == ProgressStyle::silent) {
        return;
    }
    const auto time = now_();
    if (time - samples_.back().time >= bar_interval) {
        samples_.push_back({time, done});
        while (samples_.size() > 2 && time - samples_.front().time > rate_window) {
            samples_.pop_front();
        }
    }
    if (time - *drawn_ >= (output_.style == ProgressStyle::bar ? bar_interval : line_interval)) {
        draw(time);
    }
}

double Progress::rate_per_s(Clock::time_point time) const {
    const double elapsed_s = duration<double>(time - samples_.front().time).count();
    const uint64_t done = state_.done - std::min(state_.done, samples_.front().done);
    return elapsed_s < 0.2 ? 0.0 : static_cast<double>(done) / elapsed_s;
}

void Progress::draw(Clock::time_point time) {
    state_.rate_per_s = rate_per_s(time);
    drawn_ = time;
    if (output_.style == ProgressStyle::bar) {
        output_.write(fmt::format("{}{}", erase_line, progress_bar(state_, output_.columns)));
    } else {
        output_.write(progress_line(state_) + "\n");
    }
}

void Progress::finish() {
    if (!std::exchange(working_, false) || output_.style == ProgressStyle::silent) {
        return;
    }
    if (output_.style == ProgressStyle::bar) {
        output_.write(erase_line);
    }
    const auto elapsed = now_() - started_;
    if (elapsed < worth_a_line || !output_.leaves_summary) {
        return;
    }
    ProgressState whole = state_;
    whole.total = 0;
    whole.done = state_.done - std::min(state_.done, done_at_start_);
    whole.rate_per_s = static_cast<double>(whole.done) / duration<double>(elapsed).count();
    output_.write(fmt::format("{}: {} in {} ({})\n", whole.label, amount_of(whole),
                              format_duration(std::chrono::duration_cast<milliseconds>(elapsed)),
                              rate_of(whole)));
}

void Progress::stop() {
    if (!std::exchange(working_, false) || output_.style != ProgressStyle::bar) {
        return;
    }
    if (state_.done == done_at_start_) {
        output_.write(erase_line);
        return;
    }
    draw(now_());
    output_.write("\n");
}

void Progress::note(std::string_view line) {
    if (output_.style == ProgressStyle::silent) {
        return;
    }
    const bool redraw = working_ && output_.style == ProgressStyle::bar;
    output_.write(fmt::format("{}{}\n", redraw ? erase_line : "", line));
    if (redraw) {
        draw(now_());
    }
}

} // namespace pie
