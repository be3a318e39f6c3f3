#pragma once

// A thread that writes files, in the order in which they were handed over, for an owner who must not wait for
// the disk. It has work for whoever hands it over only, so that it starts with the first job.
//
// Thread rule: one thread, the owner, calls everything here. A job's `write` runs on the thread of this.

#include <pie/result.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace pie {

class BackgroundWriter {
  public:
    struct Job {
        std::filesystem::path path;                         // what it writes, or prepares to write
        std::function<Result<void>()> write;                // destroyed, with what it holds, when it has run
        std::function<void(const Result<void>&)> done = {}; // heard by the owner
    };

    // `on_idle` is called on the thread of this whenever nothing is left to do.
    explicit BackgroundWriter(std::function<void()> on_idle) : on_idle_(std::move(on_idle)) {}
    ~BackgroundWriter(); // does what was handed over, unheard
    BackgroundWriter(const BackgroundWriter&) = delete;
    BackgroundWriter& operator=(const BackgroundWriter&) = delete;

    // It takes the place of one for the same path that has not begun.
    void add(Job job);

    bool is_idle() const;
    void wait();                                      // until it is idle
    void wait_for(const std::filesystem::path& path); // until nothing is left to do for this path
    void hear();                                      // calls what is done()

  private:
    void work();
    // Under the lock.
    bool has_job_for(const std::filesystem::path& path) const;
    bool has_job() const { return at_work_.has_value() || !waiting_.empty(); }

    std::function<void()> on_idle_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> waiting_;
    std::optional<std::filesystem::path> at_work_;
    std::vector<std::function<void()>> unheard_;
    bool ending_ = false;
    std::thread thread_;
};

} // namespace pie
