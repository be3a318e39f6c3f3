#include "base/units.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;

TEST_CASE("bytes have three significant digits and round into the next unit") {
    CHECK(pie::format_bytes(0) == "0 B");
    CHECK(pie::format_bytes(999) == "999 B");
    CHECK(pie::format_bytes(1000) == "1.00 kB");
    CHECK(pie::format_bytes(9994) == "9.99 kB");
    CHECK(pie::format_bytes(9996) == "10.0 kB");
    CHECK(pie::format_bytes(99'960) == "100 kB");
    CHECK(pie::format_bytes(999'400) == "999 kB");
    CHECK(pie::format_bytes(999'600) == "1.00 MB");
    CHECK(pie::format_bytes(98'362'432) == "98.4 MB");
    CHECK(pie::format_bytes(491'400'064) == "491 MB");
    CHECK(pie::format_bytes(1'117'320'768) == "1.12 GB");
    CHECK(pie::format_bytes(UINT64_MAX) == "18446744 TB");
}

TEST_CASE("a part of a whole is written in the unit of the whole") {
    CHECK(pie::format_bytes_of(0, 491'400'064) == "0/491 MB");
    CHECK(pie::format_bytes_of(212'000'000, 491'400'064) == "212/491 MB");
    CHECK(pie::format_bytes_of(50'000'000, 1'117'320'768) == "0.05/1.12 GB");
    CHECK(pie::format_bytes_of(3, 17) == "3/17 B");
}

TEST_CASE("durations round into the next unit") {
    CHECK(pie::format_duration(0ms) == "0 ms");
    CHECK(pie::format_duration(999ms) == "999 ms");
    CHECK(pie::format_duration(1000ms) == "1.0 s");
    CHECK(pie::format_duration(4249ms) == "4.2 s");
    CHECK(pie::format_duration(9949ms) == "9.9 s");
    CHECK(pie::format_duration(9950ms) == "10 s");
    CHECK(pie::format_duration(59'499ms) == "59 s");
    CHECK(pie::format_duration(59'500ms) == "1 min 0 s");
    CHECK(pie::format_duration(80s) == "1 min 20 s");
    CHECK(pie::format_duration(3599s) == "59 min 59 s");
    CHECK(pie::format_duration(2h + 4min + 31s) == "2 h 5 min");
    CHECK(pie::format_whole_seconds(4s) == "4 s");
    CHECK(pie::format_whole_seconds(80s) == "1 min 20 s");
}
