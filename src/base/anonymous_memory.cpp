#include "base/anonymous_memory.h"

#include "base/check.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace pie {

Result<AnonymousMemory> AnonymousMemory::allocate(size_t bytes) {
    AnonymousMemory memory;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return fail(ErrorCode::too_large, fmt::format("the system has no {} bytes of memory", bytes));
    }
#ifdef MADV_NOHUGEPAGE
    // One row in a huge page would take two megabytes. Where there are none the advice fails, and is not
    // needed.
    (void)madvise(data, bytes, MADV_NOHUGEPAGE);
#endif
    memory.data_ = data;
    memory.size_bytes_ = bytes;
    return memory;
}

AnonymousMemory::~AnonymousMemory() {
    if (data_ != nullptr) {
        munmap(data_, size_bytes_);
    }
}

AnonymousMemory::AnonymousMemory(AnonymousMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

AnonymousMemory& AnonymousMemory::operator=(AnonymousMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
}

void AnonymousMemory::give_back() {
    if (data_ == nullptr) {
        return;
    }
    // Pages of a new mapping in the place of the old ones are zero on every system.
    void* data =
        mmap(data_, size_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    PIE_CHECK(data == data_, "a mapping can be replaced by one that is alike");
#ifdef MADV_NOHUGEPAGE
    (void)madvise(data_, size_bytes_, MADV_NOHUGEPAGE);
#endif
}

size_t AnonymousMemory::page_bytes() {
    static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

} // namespace pie
