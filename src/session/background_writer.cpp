#include "session/background_writer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace pie {
namespace {

Result<void> run(const BackgroundWriter::Job& job) {
    try {
        return job.write();
    } catch (const std::exception& exception) { // want of memory
        return fail(ErrorCode::internal, exception.what());
    }
}

} // namespace

BackgroundWriter::~BackgroundWriter() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void BackgroundWriter::add(Job job) {
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(waiting_, [&](const Job& waiting) { return waiting.path == job.path; });
        waiting_.push_back(std::move(job));
    }
    changed_.notify_all();
    if (!thread_.joinable()) {
        thread_ = std::thread([this] { work(); });
    }
}

bool BackgroundWriter::is_idle() const {
    const std::lock_guard lock(mutex_);
    return !has_job();
}

bool BackgroundWriter::has_job_for(const std::filesystem::path& path) const {
    return at_work_ == path || std::ranges::find(waiting_, path, &Job::path) != waiting_.end();
}

void BackgroundWriter::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !has_job(); });
}

void BackgroundWriter::wait_for(const std::filesystem::path& path) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !has_job_for(path); });
}

void BackgroundWriter::hear() {
    std::unique_lock lock(mutex_);
    const auto unheard = std::exchange(unheard_, {});
    lock.unlock();
    for (const auto& tell : unheard) {
        tell();
    }
}

void BackgroundWriter::work() {
    // Threads that compute wait for each other after every operator, so that one that shares its core holds
    // up all.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 10);
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) {
            return;
        }
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        at_work_ = job.path;
        lock.unlock();
        Result<void> result = run(job);
        job.write = nullptr; // before anyone counts on the memory that it held
        lock.lock();
        at_work_.reset();
        if (job.done) {
            unheard_.emplace_back([done = std::move(job.done), result = std::move(result)] { done(result); });
        }
        changed_.notify_all();
        if (waiting_.empty() && on_idle_) {
            lock.unlock();
            on_idle_();
            lock.lock();
        }
    }
}

} // namespace pie
