#include "base/units.h"

#include <fmt/format.h>

#include <array>

namespace pie {
namespace {

constexpr std::array<const char*, 5> decimal_units = {"B", "kB", "MB", "GB", "TB"};

// The index of the unit in which `bytes` has at most three digits before the point, after rounding to three
// significant digits: 999,600 bytes are 1.00 MB, not 1000 kB.
size_t unit_of(uint64_t bytes) {
    size_t unit = 0;
    auto value = static_cast<double>(bytes);
    while (unit + 1 < decimal_units.size() && value >= (unit == 0 ? 1000.0 : 999.5)) {
        value /= 1000.0;
        ++unit;
    }
    return unit;
}

double in_unit(uint64_t bytes, size_t unit) {
    auto value = static_cast<double>(bytes);
    for (size_t i = 0; i < unit; ++i) {
        value /= 1000.0;
    }
    return value;
}

int decimals_of(double value) {
    if (value < 9.995) {
        return 2;
    }
    return value < 99.95 ? 1 : 0;
}

std::string number_in_unit(uint64_t bytes, size_t unit) {
    const double value = in_unit(bytes, unit);
    return fmt::format("{:.{}f}", value, unit == 0 ? 0 : decimals_of(value));
}

} // namespace

std::string format_bytes(uint64_t bytes) {
    const size_t unit = unit_of(bytes);
    return fmt::format("{} {}", number_in_unit(bytes, unit), decimal_units[unit]);
}

std::string format_bytes_of(uint64_t done, uint64_t total) {
    const size_t unit = unit_of(total);
    const int decimals = unit == 0 ? 0 : decimals_of(in_unit(total, unit));
    return fmt::format("{:.{}f}/{} {}", in_unit(done, unit), decimals, number_in_unit(total, unit),
                       decimal_units[unit]);
}

std::string format_duration(std::chrono::milliseconds duration) {
    const int64_t milliseconds = duration.count();
    if (milliseconds < 1000) {
        return fmt::format("{} ms", milliseconds);
    }
    const int64_t tenths = (milliseconds + 50) / 100;
    if (tenths < 100) {
        return fmt::format("{}.{} s", tenths / 10, tenths % 10);
    }
    return format_whole_seconds(std::chrono::seconds((milliseconds + 500) / 1000));
}

std::string format_whole_seconds(std::chrono::seconds duration) {
    const int64_t seconds = duration.count();
    if (seconds < 60) {
        return fmt::format("{} s", seconds);
    }
    if (seconds < 3600) {
        return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    }
    const int64_t minutes = (seconds + 30) / 60;
    return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

} // namespace pie
