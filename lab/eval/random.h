#pragma once

// Draws that come out the same on every machine: the standard's distributions may differ between libraries,
// its engines may not.
//
// Thread rule: one thread at a time.

#include "base/check.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>

namespace pie {

class Random {
  public:
    // Sequences of different purposes are independent of each other, whatever their seed.
    Random(uint64_t seed, std::string_view purpose) : engine_(mixed(seed, purpose)) {}

    // One of 0, 1, …, n - 1. (The bias of the remainder is below n / 2^64.)
    size_t below(size_t n) {
        PIE_CHECK(n > 0, "there is something to draw from");
        return static_cast<size_t>(engine_() % n);
    }
    // One of `first`, …, `last`.
    size_t between(size_t first, size_t last) { return first + below(last - first + 1); }

  private:
    // FNV-1a over the purpose, from the seed on.
    static uint64_t mixed(uint64_t seed, std::string_view purpose) {
        uint64_t hash = 14695981039346656037ULL ^ seed;
        for (const char c : purpose) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        }
        return hash;
    }

    std::mt19937_64 engine_;
};

} // namespace pie
