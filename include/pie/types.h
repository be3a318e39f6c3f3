#pragma once

// Integers that must not be mixed up. A Strong is as cheap as its representation; it compares and orders with
// its own kind, moves by plain offsets, and converts only where `.value` is written.

#if __cplusplus < 202002L
#error "pie's headers need C++20: compile with -std=c++20, or link pie::pie with CMake"
#endif

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace pie {

template <typename Tag, typename Rep>
struct Strong {
    Rep value{};

    constexpr Strong() = default;
    constexpr explicit Strong(Rep v) : value(v) {}

    constexpr auto operator<=>(const Strong&) const = default;

    constexpr Strong& operator++() {
        ++value;
        return *this;
    }
    constexpr Strong& operator+=(Rep offset) {
        value = static_cast<Rep>(value + offset);
        return *this;
    }
    friend constexpr Strong operator+(Strong a, Rep offset) {
        return Strong(static_cast<Rep>(a.value + offset));
    }
    friend constexpr Strong operator-(Strong a, Rep offset) {
        return Strong(static_cast<Rep>(a.value - offset));
    }
    friend constexpr Rep operator-(Strong a, Strong b) { return static_cast<Rep>(a.value - b.value); }
};

using TokenId = Strong<struct TokenIdTag, int32_t>;      // an entry of the model's vocabulary
using Position = Strong<struct PositionTag, int32_t>;    // of a token in the sequence, from 0; what RoPE sees
using CellIndex = Strong<struct CellIndexTag, int32_t>;  // a row of the KV cache's tensors
using ByteOffset = Strong<struct ByteOffsetTag, size_t>; // into a UTF-8 text
using LineIndex = Strong<struct LineIndexTag, size_t>;   // of a line in a text, from 0

} // namespace pie

template <typename Tag, typename Rep>
struct std::hash<pie::Strong<Tag, Rep>> {
    size_t operator()(pie::Strong<Tag, Rep> s) const noexcept { return std::hash<Rep>{}(s.value); }
};
