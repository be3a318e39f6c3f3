#include "base/anonymous_memory.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace pie {
namespace {

size_t pages_present(const AnonymousMemory& memory) {
    std::vector<unsigned char> present(memory.size_bytes() / AnonymousMemory::page_bytes());
    REQUIRE(mincore(memory.data(), memory.size_bytes(), present.data()) == 0);
    return static_cast<size_t>(std::ranges::count_if(present, [](unsigned char p) { return (p & 1U) != 0; }));
}

std::span<std::byte> bytes_of(const AnonymousMemory& memory) {
    return {static_cast<std::byte*>(memory.data()), memory.size_bytes()};
}

} // namespace

TEST_CASE("pages take room when they are written to, and none when they are given back") {
    const size_t page_bytes = AnonymousMemory::page_bytes();
    AnonymousMemory memory = AnonymousMemory::allocate(4096 * page_bytes).value();
    CHECK(pages_present(memory) == 0);
    for (const size_t page : {0U, 7U, 4000U}) {
        bytes_of(memory)[page * page_bytes + 5] = std::byte{1};
    }
    CHECK(pages_present(memory) == 3);
    memory.give_back();
    CHECK(pages_present(memory) == 0);
    CHECK(bytes_of(memory)[5] == std::byte{0});
    bytes_of(memory)[5] = std::byte{2};
    AnonymousMemory moved = std::move(memory);
    CHECK(bytes_of(moved)[5] == std::byte{2});
}

TEST_CASE("more memory than there are addresses is refused") {
    const auto memory = AnonymousMemory::allocate(std::numeric_limits<size_t>::max() / 2);
    REQUIRE_FALSE(memory.has_value());
    CHECK(memory.error().code == ErrorCode::too_large);
}

} // namespace pie
