#pragma once

// Bytes that requests share: who takes some gives them back with the share.
//
// Thread rule: any thread. The budget outlives its shares.

#include <atomic>
#include <cstddef>
#include <memory>

namespace pie {

class ByteBudget {
  public:
    explicit ByteBudget(size_t bytes_max) : free_(bytes_max) {}

    using Share = std::shared_ptr<void>;

    // Null where less is free.
    Share take(size_t bytes) {
        size_t free = free_;
        do {
            if (free < bytes) {
                return nullptr;
            }
        } while (!free_.compare_exchange_weak(free, free - bytes));
        return {this, [bytes](void* budget) { static_cast<ByteBudget*>(budget)->free_ += bytes; }};
    }

  private:
    std::atomic<size_t> free_;
};

} // namespace pie
