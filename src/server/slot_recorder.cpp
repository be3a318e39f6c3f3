#include "server/slot_recorder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace pie {

// What the pool knew at the beginning was read from the records.
SlotRecorder::SlotRecorder(const SessionPool& pool, SlotRecords records, double interval_s)
    : pool_(pool), records_(std::move(records)), interval_s_(interval_s) {
    for (const SlotContent& slot : pool_.contents_since(0)) {
        last_use_ = std::max(last_use_, slot.last_use);
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

SlotRecorder::~SlotRecorder() {
    thread_.request_stop();
    thread_.join();
    write_changes();
}

void SlotRecorder::run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    const auto never = [] { return false; };
    while (!stop.stop_requested()) {
        wake_.wait_for(lock, stop, std::chrono::duration<double>(interval_s_), never);
        write_changes();
    }
}

void SlotRecorder::write_changes() {
    uint64_t last_use = last_use_;
    for (const SlotContent& slot : pool_.contents_since(last_use_)) {
        last_use = std::max(last_use, slot.last_use);
        if (auto written = records_.write(slot); !written) {
            spdlog::warn("{}; after a restart slot {} begins anew", written.error().message, slot.slot);
        }
    }
    last_use_ = last_use;
}

} // namespace pie
