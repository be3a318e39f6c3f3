// What the model thread does.

#include "library/idle_work.h"
#include "library/worker.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace pie {
namespace {

constexpr int32_t repair_tokens_max = 64; // more are left to idle time
// What an update loses at the most when something else goes first. Longer pieces would be hardly faster.
constexpr double piece_milliseconds = 250;
// From so many tokens on, a token costs little more than in a batch of 512 (docs/lab/performance.md).
constexpr int32_t piece_tokens = 32;

} // namespace

void Worker::serve() {
    Lock lock(mutex_);
    while (!stopping_) {
        // Each of these looks at what there is to do under the lock and, if there is nothing, keeps it: so no
        // call to wake up is missed.
        if (forget_one(lock)) {
            continue; // a request that came later finds nothing
        }
        if (!requests_.empty()) {
            serve_request(lock);
            save_some(lock); // here too: while many ask, there is no idle time
        } else if (!encode_one(lock) && !save_some(lock) && !heal_one(lock)) {
            wait(lock);
        }
    }
    for (const auto& request : requests_) {
        end(*request, fail(ErrorCode::cancelled, "the model is being closed"));
    }
    requests_.clear();
    while (forget_one(lock)) {
    }
    lock.unlock();
    store_.save_all();
}

bool Worker::forget_one(Lock& lock) {
    if (forgotten_.empty()) {
        return false;
    }
    const std::string id = std::move(forgotten_.back());
    forgotten_.pop_back();
    lock.unlock();
    store_.forget(id);
    lock.lock();
    memory_.cache_bytes = store_.held_bytes();
    if (const auto found = std::ranges::find(documents_, id, &DocumentState::id); found != documents_.end()) {
        forget_tokens(**found);
    }
    return true;
}

void Worker::wait(Lock& lock) {
    if (options_.snapshot_folder.empty() || store_.is_writing()) {
        wake_.wait(lock);
    } else {
        wake_.wait_until(lock, next_save_);
    }
}

// Runs a job without the lock, as what the thread is at: so it can be cancelled.
Result<void> Worker::run(Lock& lock, const Current& current, const std::function<Result<void>()>& job) {
    current_ = current;
    current_.since = Clock::now();
    cancel_ = false;
    done_.notify_all(); // those whose text it is may wait for so long only
    lock.unlock();
    auto result = [&]() -> Result<void> {
        try {
            return job();
        } catch (const std::exception& exception) { // of a caller's receiver, or want of memory
            return fail(ErrorCode::internal, exception.what());
        }
    }();
    lock.lock();
    current_ = {};
    memory_.cache_bytes = store_.held_bytes();
    return result;
}

Result<UpdateReport> Worker::bring_up_to_date(LiveDocument& live, const PromptSource& source, Sources sources,
                                              double milliseconds) const {
    ReuseOptions reuse{.repair = repair_tokens_max,
                       .milliseconds = options_.update_milliseconds,
                       .piece_milliseconds = piece_milliseconds,
                       .piece_tokens = piece_tokens};
    if (sources == Sources::own && live.sequence().n_tokens() == 0) {
        reuse.method = ReuseMethod::full;
    }
    if (milliseconds > 0) {
        reuse.until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                         std::chrono::duration<double, std::milli>(milliseconds));
    }
    if (!source.text && source.tokens.empty()) {
        return fail(ErrorCode::invalid_argument, "the session has context but no text yet; give it one");
    }
    const auto update = [&] {
        if (!source.text) {
            return live.update(source.tokens, reuse, source.healing);
        }
        live.set_context(source.context);
        return live.update(source.text->text(), source.cursor, reuse);
    };
    PIE_ASSIGN(UpdateReport report, update());
    report.tokens_exact = live.sequence().n_exact();
    report.tokens_bit_exact = live.sequence().n_bit_exact();
    return report;
}

void Worker::note_tokens(DocumentState& document, const LiveDocument& live) {
    document.stats.tokens = live.sequence().n_tokens();
    document.stats.tokens_exact = live.sequence().n_exact();
    document.stats.tokens_bit_exact = live.sequence().n_bit_exact();
    document.stats.cache_bytes = live.cache().bytes();
}

void Worker::note_update(DocumentState& document, const LiveDocument& live, const UpdateReport& report,
                         int64_t version) {
    SessionStats& stats = document.stats;
    stats.version_encoded = version;
    note_tokens(document, live);
    stats.lines_cut_at_start = live.lines_cut().at_start;
    stats.lines_cut_at_end = live.lines_cut().at_end;
    stats.chunks_left_out = live.chunks_left_out();
    if (report.tokens_encoded > 0) {
        stats.last_update = report;
        stats.last_update_version = version;
    }
    document.behind = version != stats.version;
    document.stale = !live.sequence().is_healed();
}

// From now on there is no limit of time. False where the caller has gone.
bool Worker::begin_work(const Request& request) {
    const Lock lock(mutex_);
    current_.version = 0;
    return !request.done;
}

void Worker::serve_request(Lock& lock) {
    const std::shared_ptr<Request> request = std::move(requests_.front());
    requests_.pop_front();
    DocumentState& document = *request->document;
    const auto source = request->preparation == Preparation::none ? nullptr : document.source;
    if (request->preparation == Preparation::source && !source) {
        end(*request, without_text()); // a restored cache took its place while the request waited
        return;
    }
    const int64_t version = document.stats.version;
    LiveDocument* live = nullptr;
    std::optional<UpdateReport> report;
    const Current current{.document = &document, .request = request.get(), .version = source ? version : 0};
    auto result = run(lock, current, [&]() -> Result<void> {
        PIE_ASSIGN(live, acquire(document));
        if (source) {
            PIE_ASSIGN(report,
                       bring_up_to_date(*live, *source, document.sources, request->prepare_milliseconds_max));
        }
        return begin_work(*request) ? request->work(*live, report.value_or(UpdateReport())) : Result<void>();
    });
    if (report) {
        note_update(document, *live, *report, version);
    } else if (live != nullptr) {
        note_tokens(document, *live);
    }
    if (!request->done) {
        end(*request, std::move(result));
    }
}

bool Worker::encode_one(Lock& lock) {
    const auto choice = choose_idle_work(documents_, options_.heal_when_idle);
    if (choice.work != IdleWork::encode) {
        return false;
    }
    const auto& document = choice.document;
    const auto source = document->source;
    const int64_t version = document->stats.version;
    LiveDocument* live = nullptr;
    UpdateReport report;
    const auto result = run(lock, {.document = document.get(), .version = version}, [&]() -> Result<void> {
        PIE_ASSIGN(live, acquire(*document));
        PIE_ASSIGN(report, bring_up_to_date(*live, *source, document->sources, 0));
        return {};
    });
    if (result) {
        note_update(*document, *live, report, version);
    } else {
        // Whoever asks for this text next is told why.
        document->behind = result.error().code == ErrorCode::cancelled || version != document->stats.version;
        if (live != nullptr) {
            note_tokens(*document, *live);
        }
    }
    done_.notify_all();
    return true;
}

bool Worker::heal_one(Lock& lock) {
    const auto choice = choose_idle_work(documents_, options_.heal_when_idle);
    if (choice.work != IdleWork::heal) {
        return false;
    }
    const auto& document = choice.document;
    // One that nobody waits for, and that is not in memory any more, is left alone.
    const bool wanted = document->n_waiting_to_heal > 0;
    LiveDocument* live = store_.find(document->id);
    int32_t n_healed = 0;
    const auto result = run(lock, {.document = document.get()}, [&]() -> Result<void> {
        if (live == nullptr && wanted) {
            PIE_ASSIGN(live, acquire(*document));
        }
        if (live != nullptr) {
            PIE_ASSIGN(n_healed, live->heal());
        }
        return {};
    });
    if (live != nullptr) {
        note_tokens(*document, *live);
    }
    const bool ended = result ? n_healed == 0 : result.error().code != ErrorCode::cancelled;
    if (ended) {
        document->stale = false;
        done_.notify_all();
    }
    return true;
}

bool Worker::save_some(Lock& lock) {
    if (options_.snapshot_folder.empty() || Clock::now() < next_save_ || store_.is_writing()) {
        return false;
    }
    lock.unlock();
    const bool is_more_to_do = store_.save_some();
    lock.lock();
    if (!is_more_to_do) {
        next_save_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(options_.snapshot_seconds));
    }
    return true;
}

} // namespace pie
