#pragma once

// For tests and benchmarks: normally distributed numbers, the same for the same seed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace pie::testing {

inline std::vector<float> random_numbers(size_t n, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> numbers(n);
    std::ranges::generate(numbers, [&] { return normal(random); });
    return numbers;
}

} // namespace pie::testing
