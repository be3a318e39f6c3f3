#include "base/progress.h"

#include <doctest/doctest.h>

#include <utility>

using namespace std::chrono_literals;
using pie::Progress;
using pie::ProgressState;
using pie::ProgressStyle;
using pie::ProgressUnit;

namespace {

constexpr uint64_t mega = 1'000'000;

// A Progress on a clock that the test turns, and what it wrote.
struct Watched {
    Progress::Clock::time_point time{};
    std::string written;
    Progress progress;

    explicit Watched(ProgressStyle style) : Watched(style, true) {}
    Watched(ProgressStyle style, bool leaves_summary)
        : progress({style, 80, [this](std::string_view text) { written += text; }, leaves_summary},
                   [this] { return time; }) {}

    std::string take() { return std::exchange(written, {}); }
};

const ProgressState halfway = {"model", ProgressUnit::bytes, 200 * mega, 400 * mega, 50.0 * mega};

} // namespace

TEST_CASE("a bar fills the columns it has, and no more") {
    CHECK(pie::progress_bar(halfway, 80) ==
          "model [#############.............]  50 %   200/400 MB 50.0 MB/s 4 s left");
    CHECK(pie::progress_bar(halfway, 60) == "model  50 %   200/400 MB 50.0 MB/s 4 s left");
    CHECK(pie::progress_bar(halfway, 20) == "model  50 %   200/4");
    CHECK(pie::progress_bar(halfway, 0).empty());
    ProgressState slow = halfway;
    slow.rate_per_s = 50'000.0;
    for (int columns = 0; columns < 300; ++columns) {
        CHECK(pie::progress_bar(slow, columns).size() < static_cast<size_t>(std::max(columns, 1)));
    }
}

TEST_CASE("lines say what is known") {
    CHECK(pie::progress_line(halfway) == "model: 200/400 MB (50 %), 50.0 MB/s, 4 s left");
    CHECK(pie::progress_line({"model", ProgressUnit::bytes, 0, 400 * mega, 0.0}) == "model: 0/400 MB (0 %)");
    CHECK(pie::progress_line({"files", ProgressUnit::items, 3, 10, 0.5}) ==
          "files: 3/10 (30 %), 0.5/s, 14 s left");
    CHECK(pie::progress_line({"page", ProgressUnit::bytes, 5000, 0, 1000.0}) == "page: 5.00 kB, 1.00 kB/s");
}

TEST_CASE("off a terminal: a line in five seconds, with the rate of the last ones, and one at the end") {
    Watched watched(ProgressStyle::lines);
    watched.progress.start("model", ProgressUnit::bytes, 400 * mega, 100 * mega);
    for (int second = 1; second <= 4; ++second) {
        watched.time += 1s;
        watched.progress.update((100 + 10 * second) * mega);
    }
    CHECK(watched.take().empty());
    watched.time += 1s;
    watched.progress.update(150 * mega);
    CHECK(watched.take() == "model: 150/400 MB (37 %), 10.0 MB/s, 25 s left\n");
    for (int second = 6; second <= 10; ++second) {
        watched.time += 1s;
        watched.progress.update(static_cast<uint64_t>(150 + 50 * (second - 5)) * mega);
    }
    CHECK(watched.take() == "model: 400/400 MB (100 %), 50.0 MB/s\n");
    watched.progress.finish();
    CHECK(watched.take() == "model: 300 MB in 10 s (30.0 MB/s)\n");
}

TEST_CASE("on a terminal: ten frames a second, notes above the bar, a summary in its place") {
    Watched watched(ProgressStyle::bar);
    watched.progress.start("model", ProgressUnit::bytes, 400 * mega);
    CHECK(watched.take().find("\r\x1b[Kmodel [....") == 0);
    watched.time += 50ms;
    watched.progress.update(mega);
    CHECK(watched.take().empty());
    watched.time += 2s;
    watched.progress.update(200 * mega);
    CHECK(watched.take().find("50 %") != std::string::npos);
    watched.progress.note("another source is tried");
    CHECK(watched.take().find("\r\x1b[Kanother source is tried\n\r\x1b[Kmodel [###") == 0);
    watched.progress.finish();
    CHECK(watched.take() == "\r\x1b[Kmodel: 200 MB in 2.1 s (97.6 MB/s)\n");
}

TEST_CASE("work that is not whole leaves its bar on a line of its own") {
    Watched watched(ProgressStyle::bar);
    watched.progress.start("model", ProgressUnit::items, 10);
    watched.progress.update(4);
    watched.take();
    watched.progress.stop();
    const std::string left = watched.take();
    CHECK(left.find("40 %") != std::string::npos);
    CHECK(left.back() == '\n');
    watched.progress.stop();
    CHECK(watched.take().empty());

    watched.progress.start("model", ProgressUnit::items, 10, 4);
    watched.take();
    watched.progress.stop();
    CHECK(watched.take() == "\r\x1b[K");
}

TEST_CASE("where no summary is wanted, a bar leaves nothing") {
    Watched watched(ProgressStyle::bar, false);
    watched.progress.start("model", ProgressUnit::items, 10);
    watched.time += 60s;
    watched.progress.update(10);
    watched.take();
    watched.progress.finish();
    CHECK(watched.take() == "\r\x1b[K");
}

TEST_CASE("quick work leaves nothing, and silent work says nothing") {
    for (const auto style : {ProgressStyle::bar, ProgressStyle::lines, ProgressStyle::silent}) {
        Watched watched(style);
        watched.progress.start("model", ProgressUnit::items, 10);
        watched.progress.update(10);
        watched.take();
        watched.progress.finish();
        CHECK(watched.take() == (style == ProgressStyle::bar ? "\r\x1b[K" : ""));
    }
    Progress silent;
    silent.start("model", ProgressUnit::items, 10);
    silent.note("nobody reads this");
    silent.update(10);
    silent.finish();
}
