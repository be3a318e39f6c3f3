#pragma once

// Checks of flags' values whose messages and help a person can read: CLI11's own print the whole range of a
// double, and enumerators as numbers.

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <system_error>
#include <vector>

namespace pie {

// A finite number of at least `minimum`.
inline CLI::Validator at_least(double minimum) {
    const auto check = [minimum](const std::string& text) -> std::string {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool is_number = error == std::errc() && end == text.data() + text.size();
        if (is_number && std::isfinite(value) && value >= minimum) {
            return {};
        }
        return fmt::format("'{}' is no number from {} on", text, minimum);
    };
    return {check, fmt::format(">= {}", minimum)};
}

// Turns a choice's name into its value, for CLI::Option::transform.
template <typename T>
CLI::Validator one_of(const std::map<std::string, T>& choices) {
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) {
        names.push_back(name);
    }
    const auto transform = [choices, names](std::string& text) -> std::string {
        const auto found = choices.find(text);
        if (found == choices.end()) {
            return fmt::format("'{}' is none of {}", text, fmt::join(names, ", "));
        }
        text = std::to_string(static_cast<int>(found->second));
        return {};
    };
    return {transform, fmt::format("{{{}}}", fmt::join(names, ","))};
}

} // namespace pie
