#include "server/job.h"

#include "base/elapsed.h"

#include <chrono>
#include <cstddef>
#include <exception>
#include <utility>

namespace pie {
namespace {

constexpr auto poll_interval = std::chrono::milliseconds(20);

void add_to_part(const TextPart& text, Completion& part) {
    for (const size_t end : text.text_ends) {
        part.text_ends.push_back(part.text.size() + end - text.begin);
    }
    part.text += text.text;
    part.tokens.insert(part.tokens.end(), text.tokens.begin(), text.tokens.end());
    part.probabilities.insert(part.probabilities.end(), text.probabilities.begin(), text.probabilities.end());
}

} // namespace

Job::Job(Work work) : thread_([this, work = std::move(work)] { run(work); }) {}

Job::~Job() {
    stop_.request_stop();
    thread_.join();
}

void Job::run(const Work& work) {
    const SeveralReceiver receive = [this](int32_t index, const TextPart& text) {
        {
            const std::lock_guard lock(mutex_);
            if (parts_.empty() || parts_.back().index != index) {
                parts_.push_back({.index = index});
            }
            add_to_part(text, parts_.back().part);
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

std::optional<CompletionPart> Job::next_part(const IsUnwanted& is_unwanted) {
    std::unique_lock lock(mutex_);
    wait(lock, is_unwanted, [this] { return !parts_.empty() || result_.has_value(); });
    if (parts_.empty()) {
        return std::nullopt;
    }
    CompletionPart part = std::move(parts_.front());
    parts_.pop_front();
    return part;
}

Result<Generated> Job::result(const IsUnwanted& is_unwanted) {
    std::unique_lock lock(mutex_);
    wait(lock, is_unwanted, [this] { return result_.has_value(); });
    return *result_;
}

} // namespace pie
