#include "server/job.h"

#include "base/elapsed.h"

#include <chrono>
#include <exception>
#include <utility>

namespace pie {
namespace {

constexpr auto poll_interval = std::chrono::milliseconds(20);

} // namespace

Job::Job(Work work) : thread_([this, work = std::move(work)] { run(work); }) {}

Job::~Job() {
    stop_.request_stop();
    thread_.join();
}

void Job::run(const Work& work) {
    const SeveralReceiver receive = [this](int32_t index, std::string_view text) {
        {
            const std::lock_guard lock(mutex_);
            if (pieces_.empty() || pieces_.back().index != index) {
                pieces_.push_back({.index = index, .text = {}});
            }
            pieces_.back().text += text;
        }
        changed_.notify_all();
        return StreamControl::go_on;
    };
    const auto start = std::chrono::steady_clock::now();
    Result<Generated> result = fail(ErrorCode::internal, "the request ran out of memory");
    try {
        result = work(receive, stop_);
        if (result) {
            result->milliseconds = milliseconds_since(start);
        }
    } catch (const std::exception&) { // std::bad_alloc; nothing else here throws
    }
    {
        const std::lock_guard lock(mutex_);
        result_ = std::move(result);
    }
    changed_.notify_all();
}

void Job::wait(std::unique_lock<std::mutex>& lock, const IsUnwanted& is_unwanted,
               const std::function<bool()>& is_over) {
    while (!changed_.wait_for(lock, poll_interval, is_over)) {
        lock.unlock();
        if (is_unwanted()) {
            stop_.request_stop();
        }
        lock.lock();
    }
}

std::optional<TextPiece> Job::next_text(const IsUnwanted& is_unwanted) {
    std::unique_lock lock(mutex_);
    wait(lock, is_unwanted, [this] { return !pieces_.empty() || result_.has_value(); });
    if (pieces_.empty()) {
        return std::nullopt;
    }
    TextPiece piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
}

Result<Generated> Job::result(const IsUnwanted& is_unwanted) {
    std::unique_lock lock(mutex_);
    wait(lock, is_unwanted, [this] { return result_.has_value(); });
    return *result_;
}

} // namespace pie
