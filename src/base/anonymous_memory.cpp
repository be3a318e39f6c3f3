#include "base/anonymous_memory.h"

#include "base/check.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace pie {

namespace {

// At `place`, where it is not null, instead of what is mapped there. MAP_FAILED where the system has none.
void* map_zeros(void* place, size_t bytes) {
    const int fixed = place == nullptr ? 0 : MAP_FIXED;
    void* data = mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
#ifdef MADV_NOHUGEPAGE
    // One row in a huge page would take two megabytes. Where there are none the advice fails, and is not
    // needed.
    if (data != MAP_FAILED) {
        (void)madvise(data, bytes, MADV_NOHUGEPAGE);
    }
#endif
    return data;
}

} // namespace

Result<AnonymousMemory> AnonymousMemory::allocate(size_t bytes) {
    AnonymousMemory memory;
    void* data = map_zeros(nullptr, bytes);
    if (data == MAP_FAILED) {
        return fail(ErrorCode::too_large, fmt::format("the system has no {} bytes of memory", bytes));
    }
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
    PIE_CHECK(map_zeros(data_, size_bytes_) == data_, "a mapping can be replaced by one that is alike");
}

size_t AnonymousMemory::page_bytes() {
    static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
}

} // namespace pie
