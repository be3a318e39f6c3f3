#pragma once

// Memory that is zero, and that takes room only where it was written to, page by page.
//
// Thread rule: as for any other memory.

#include <pie/result.h>

#include <cstddef>

namespace pie {

class AnonymousMemory {
  public:
    AnonymousMemory() = default;
    // Errors: too_large (the system gives no such address space).
    static Result<AnonymousMemory> allocate(size_t bytes);
    ~AnonymousMemory();
    AnonymousMemory(AnonymousMemory&& other) noexcept;
    AnonymousMemory& operator=(AnonymousMemory&& other) noexcept;
    AnonymousMemory(const AnonymousMemory&) = delete;
    AnonymousMemory& operator=(const AnonymousMemory&) = delete;

    void* data() const { return data_; }
    size_t size_bytes() const { return size_bytes_; }

    // All of it is zero again, and takes no room.
    void give_back();

    static size_t page_bytes();

  private:
    void* data_ = nullptr; // null: none
    size_t size_bytes_ = 0;
};

} // namespace pie
