#pragma once

// A completion that is made on a thread of its own, so that the thread of its connection can see whether the
// client is still there, and so that a client that reads slowly holds up nobody: the model hands over what it
// writes and goes on.
//
// Thread rule: made, asked and destroyed by one thread, that of the connection.

#include "server/generation.h"

#include <pie/completion.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace pie {

// A part of one of several completions, with the tokens that wrote it, whose ends count from where it begins.
struct CompletionPart {
    int32_t index = 0;
    Completion part = {};
};

class Job {
  public:
    using Work =
        std::function<Result<Generated>(const SeveralReceiver& receive, const std::stop_source& stop)>;
    // Asked some ten times a second, on the job's caller's thread; the work is cancelled where it says yes.
    using IsUnwanted = std::function<bool()>;

    explicit Job(Work work);
    // Cancels the work, and waits for its end.
    ~Job();
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    // Waits for text. None: the work is done.
    std::optional<CompletionPart> next_part(const IsUnwanted& is_unwanted);
    // Waits for the end.
    Result<Generated> result(const IsUnwanted& is_unwanted);

  private:
    void run(const Work& work);
    void wait(std::unique_lock<std::mutex>& lock, const IsUnwanted& is_unwanted,
              const std::function<bool()>& is_over);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<CompletionPart> parts_; // that nobody took yet
    std::optional<Result<Generated>> result_;
    std::stop_source stop_;
    std::thread thread_; // last: it uses everything above
};

} // namespace pie
