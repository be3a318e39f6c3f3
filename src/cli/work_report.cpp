#include "cli/work_report.h"

#include "cli/terminal.h"

#include <fmt/format.h>

#include <algorithm>

namespace pie {

namespace {

ProgressOutput output_for(ProgressTrace trace) {
    ProgressOutput output = progress_on_stderr();
    if (trace == ProgressTrace::passing) {
        output.leaves_summary = false;
        output.style = output.style == ProgressStyle::bar ? ProgressStyle::bar : ProgressStyle::silent;
    }
    return output;
}

} // namespace

WorkProgress::WorkProgress(ProgressTrace trace) : progress_(output_for(trace)) {}

std::function<void(int32_t, int32_t)> WorkProgress::tokens(std::string label) {
    return [this, label = std::move(label), started = false](int32_t done, int32_t total) mutable {
        if (!started && done == total) {
            return; // a single batch is over before anybody would read a bar
        }
        if (!started) {
            progress_.start(label, ProgressUnit::items, static_cast<uint64_t>(total));
            started = true;
        }
        progress_.update(static_cast<uint64_t>(done));
        if (done == total) {
            progress_.finish();
        }
    };
}

std::string milliseconds_text(double milliseconds) {
    if (milliseconds < 10.0) {
        return fmt::format("{:.1f} ms", milliseconds);
    }
    return milliseconds < 1000.0 ? fmt::format("{:.0f} ms", milliseconds)
                                 : fmt::format("{:.2f} s", milliseconds / 1000.0);
}

std::string times_text(double ratio) {
    return ratio < 10.0 ? fmt::format("{:.2g}", ratio) : fmt::format("{:.0f}", ratio);
}

void print_lines_cut(const LinesCut& cut) {
    if (cut.at_start == 0 && cut.at_end == 0) {
        return;
    }
    print_note(coloured(
        Stream::err, Colour::yellow,
        fmt::format("the file is larger than the context: {} lines at its start and {} at its end are "
                    "left out (-c takes a larger context)",
                    cut.at_start, cut.at_end)));
}

std::string printable_code(std::string_view text) {
    std::string clean(text);
    if (is_terminal(Stream::out)) {
        std::ranges::replace_if(
            clean, [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; }, '?');
    }
    return clean;
}

const char* layout_name(LayoutKind layout) {
    return layout == LayoutKind::plain ? "left to right" : "fill in the middle";
}

const char* finish_name(FinishReason reason) {
    switch (reason) {
    case FinishReason::end_of_text:
        return "end_of_text";
    case FinishReason::length:
        return "length";
    case FinishReason::context:
        return "context";
    case FinishReason::stopped:
        return "stopped";
    case FinishReason::stop_string:
        return "stop_string";
    case FinishReason::indentation:
        return "indentation";
    case FinishReason::fence:
        return "fence";
    case FinishReason::time_limit:
        return "time_limit";
    }
    return "";
}

} // namespace pie
