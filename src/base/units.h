#pragma once

// Quantities as a person reads them, in messages and progress. Pure functions; any thread may call them.
// Decimal units, since disks, networks and model cards count that way.

#include <chrono>
#include <cstdint>
#include <string>

namespace pie {

// Three significant digits: "512 B", "98.4 MB", "491 MB", "1.12 GB".
std::string format_bytes(uint64_t bytes);

// "212/491 MB": both numbers in the unit of `total`.
std::string format_bytes_of(uint64_t done, uint64_t total);

// "350 ms", "4.2 s", "45 s", "1 min 20 s", "2 h 5 min".
std::string format_duration(std::chrono::milliseconds duration);

// The same without a fraction, for figures that are redrawn as they change: "4 s", "1 min 20 s".
std::string format_whole_seconds(std::chrono::seconds duration);

} // namespace pie
