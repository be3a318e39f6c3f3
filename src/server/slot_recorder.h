#pragma once

// Keeps the records of a pool's slots: every few seconds, and at the end, it writes what changed.
//
// Thread rule: made and destroyed by one thread; it writes on one of its own. The pool outlives it.

#include "server/session_pool.h"
#include "server/slot_records.h"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

namespace pie {

class SlotRecorder {
  public:
    SlotRecorder(const SessionPool& pool, SlotRecords records, double interval_s);
    ~SlotRecorder(); // writes what is left
    SlotRecorder(const SlotRecorder&) = delete;
    SlotRecorder& operator=(const SlotRecorder&) = delete;

  private:
    void run(const std::stop_token& stop);
    void write_changes();

    const SessionPool& pool_;
    SlotRecords records_;
    double interval_s_;
    uint64_t last_use_ = 0; // that was written
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_; // last: it uses everything above
};

} // namespace pie
