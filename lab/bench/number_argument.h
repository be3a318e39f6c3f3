#pragma once

// Numbers at the command lines of the benchmarks that are run by hand.
//
// Thread rule: pure functions.

#include <charconv>
#include <string_view>
#include <system_error>

namespace pie {

// False where argument `index` is no number above 0. What is not given stays.
template <typename Number>
bool read_argument(int argc, char** argv, int index, Number& number) {
    if (argc <= index) {
        return true;
    }
    const std::string_view text = argv[index];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number > 0;
}

} // namespace pie
