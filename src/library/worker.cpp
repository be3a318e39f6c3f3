#include "library/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pie {
namespace {

ggml_type tensor_type(CacheType type) {
    switch (type) {
    case CacheType::f32:
        return GGML_TYPE_F32;
    case CacheType::f16:
        return GGML_TYPE_F16;
    case CacheType::bf16:
        return GGML_TYPE_BF16;
    case CacheType::q8_0:
        return GGML_TYPE_Q8_0;
    case CacheType::q4_0:
        return GGML_TYPE_Q4_0;
    }
    return GGML_TYPE_F16;
}

constexpr double wait_milliseconds_max = 1e9; // what a clock can count

std::optional<LayoutKind> layout_kind(PromptKind kind) {
    switch (kind) {
    case PromptKind::automatic:
        return {};
    case PromptKind::left_to_right:
        return LayoutKind::plain;
    case PromptKind::fill:
        return LayoutKind::psm;
    case PromptKind::fill_line:
        return LayoutKind::psm_line;
    }
    return {};
}

} // namespace

Worker::Worker(ModelOptions options, std::unique_ptr<LoadedModel> model, std::unique_ptr<Engine> engine)
    : options_(std::move(options)), model_(std::move(model)), engine_(std::move(engine)),
      next_save_(Clock::now()), store_(*model_,
                                       {.ram_bytes_max = options_.ram_bytes_max,
                                        .folder = options_.snapshot_folder,
                                        .folder_bytes_max = options_.snapshot_bytes_max,
                                        .on_trouble = options_.on_trouble,
                                        .on_dropped = [this](std::string_view id) { note_dropped(id); },
                                        .on_written =
                                            [this] {
                                                const Lock lock(mutex_);
                                                wake_.notify_all();
                                            }},
                                       [this] { return make_document(); }) {
    engine_->set_cancel_flag(&cancel_);
}

Result<std::shared_ptr<Worker>> Worker::start(const std::filesystem::path& path,
                                              const ModelOptions& options) {
    PIE_ASSIGN(auto model, LoadedModel::load(path, {.n_gpu_layers = options.n_gpu_layers}));
    PIE_ASSIGN(auto engine, Engine::create(*model, {.n_threads = options.n_threads}));
    std::shared_ptr<Worker> worker(new Worker(options, std::move(model), std::move(engine)));
    // An option that no session can be made with is found out now, not with the first keystroke.
    PIE_ASSIGN(const auto document, worker->make_document());
    worker->n_ctx_ = document->n_ctx();
    worker->memory_.session_bytes_max = document->cache().bytes_max();
    worker->memory_.compute_bytes = worker->engine_->compute_bytes();
    worker->thread_ = std::thread([&self = *worker] { self.serve(); });
    return worker;
}

Worker::~Worker() {
    {
        const Lock lock(mutex_);
        stopping_ = true;
        cancel_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

Result<std::unique_ptr<LiveDocument>> Worker::make_document() const {
    return LiveDocument::create(*engine_, {.n_ctx = options_.n_ctx,
                                           .n_predict_max = options_.n_predict_max,
                                           .type_k = tensor_type(options_.keys),
                                           .type_v = tensor_type(options_.values),
                                           .layout = layout_kind(options_.prompt)});
}

Result<LiveDocument*> Worker::acquire(DocumentState& document) {
    auto live = store_.acquire(document.id, document.sources);
    if (live) {
        const Lock lock(mutex_);
        document.in_memory = true;
    }
    return live;
}

// Without a folder it is forgotten.
void Worker::note_dropped(std::string_view id) {
    const Lock lock(mutex_);
    const auto found = std::ranges::find(documents_, id, &DocumentState::id);
    if (found == documents_.end()) {
        return;
    }
    (*found)->in_memory = false;
    (*found)->stats.cache_bytes = 0;
    if (options_.snapshot_folder.empty()) {
        forget_tokens(**found);
    }
}

std::shared_ptr<DocumentState> Worker::open(std::string_view name) {
    const Lock lock(mutex_);
    if (!name.empty()) {
        for (const auto& document : documents_) {
            if (document->has_name && document->id == name) {
                ++document->n_handles;
                return document;
            }
        }
    }
    auto document = add_unnamed();
    if (!name.empty()) {
        document->has_name = true;
        document->id = std::string(name);
    }
    return document;
}

std::shared_ptr<DocumentState> Worker::open_fresh(const DocumentState* like) {
    const Lock lock(mutex_);
    auto document = add_unnamed();
    document->sources = Sources::own;
    if (like != nullptr && like->source) {
        document->source = like->source;
        document->stats.version = 1;
    }
    return document;
}

std::shared_ptr<DocumentState> Worker::add_unnamed() {
    auto document = std::make_shared<DocumentState>();
    // No name that a caller can give holds a zero byte.
    document->id = std::string(1, '\0') + std::to_string(n_unnamed_++);
    document->n_handles = 1;
    documents_.push_back(document);
    return document;
}

void Worker::close(DocumentState& document) {
    {
        const Lock lock(mutex_);
        if (--document.n_handles > 0) {
            return;
        }
        if (current_.document == &document) {
            cancel_ = true;
        }
        const auto found = std::ranges::find(documents_, &document, &std::shared_ptr<DocumentState>::get);
        if (!document.has_name) {
            forgotten_.push_back(document.id);
        }
        documents_.erase(found);
    }
    wake_.notify_all();
}

Result<int64_t> Worker::change(DocumentState& document,
                               const std::function<Result<void>(PromptSource&)>& change) {
    Lock lock(mutex_);
    auto source =
        document.source ? std::make_shared<PromptSource>(*document.source) : std::make_shared<PromptSource>();
    PIE_TRY(change(*source));
    document.source = std::move(source);
    document.behind = true;
    const int64_t version = ++document.stats.version;
    cancel_requests_of(document, "a newer change of the session took its place");
    stop_background();
    note_use(document);
    lock.unlock();
    wake_.notify_all();
    return version;
}

Result<Outcome> Worker::perform(DocumentState& document, const Work& work, const std::stop_token& stop,
                                const RequestOptions& options) {
    if (std::this_thread::get_id() == thread_.get_id()) {
        return fail(ErrorCode::invalid_argument,
                    "a receiver of text may not wait for the model that calls it; do so from another thread");
    }
    const auto request = std::make_shared<Request>(Request{
        .document = document.shared_from_this(),
        .work = work,
        .preparation = options.preparation,
        .prepare_milliseconds_max = std::min(options.prepare_milliseconds_max, wait_milliseconds_max)});
    const std::stop_callback on_stop(stop, [&] {
        const Lock lock(mutex_);
        request->cancelled = true;
        if (current_.request == request.get()) {
            cancel_ = true;
        } else if (std::erase(requests_, request) > 0) {
            end(*request, fail(ErrorCode::cancelled, "cancelled"));
        }
    });
    Lock lock(mutex_);
    if (request->cancelled) {
        return fail(ErrorCode::cancelled, "cancelled");
    }
    if (!document.source && options.preparation == Preparation::source) {
        return without_text();
    }
    cancel_requests_of(document, "a newer request of the session took its place");
    if (requests_.size() >= options_.queue_max) {
        return fail(ErrorCode::busy,
                    fmt::format("{} requests wait for the model already; try again later", requests_.size()));
    }
    requests_.push_back(request);
    note_use(document);
    // What puts this text into the cache is wanted now.
    if (current_.document != &document || current_.version != document.stats.version ||
        options.preparation == Preparation::none) {
        stop_background();
    }
    wake_.notify_all();
    if (wait_for(lock, *request) == Outcome::out_of_time) {
        return Outcome::out_of_time;
    }
    PIE_TRY(request->result);
    return Outcome::done;
}

Outcome Worker::wait_for(Lock& lock, Request& request) {
    const auto limit = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double, std::milli>(request.prepare_milliseconds_max));
    const Clock::time_point begin = Clock::now();
    // By the background too, which may have begun before the request came.
    const auto is_being_prepared = [&] {
        return current_.document == request.document.get() && current_.version != 0;
    };
    const auto end_of_time = [&] { return std::max(begin, current_.since) + limit; };
    while (!request.done) {
        if (request.prepare_milliseconds_max <= 0 || !is_being_prepared()) {
            done_.wait(lock);
        } else if (Clock::now() < end_of_time()) {
            done_.wait_until(lock, end_of_time());
        } else {
            leave(request);
            return Outcome::out_of_time;
        }
    }
    return Outcome::done;
}

// What is done for it goes on, for nobody, until somebody else waits.
void Worker::leave(Request& request) {
    request.done = true;
    std::erase_if(requests_, [&](const auto& waiting) { return waiting.get() == &request; });
    if (current_.request == &request) {
        current_.request = nullptr;
        if (!requests_.empty()) {
            stop_background();
        }
    }
}

Result<void> Worker::heal(DocumentState& document, const std::stop_token& stop) {
    PIE_TRY(perform(
        document, [](LiveDocument&, const UpdateReport&) { return Result<void>(); }, stop));
    const std::stop_callback on_stop(stop, [this] {
        const Lock lock(mutex_);
        done_.notify_all();
    });
    Lock lock(mutex_);
    ++document.n_waiting_to_heal;
    wake_.notify_all();
    done_.wait(lock,
               [&] { return stop.stop_requested() || stopping_ || (!document.stale && !document.behind); });
    --document.n_waiting_to_heal;
    if (document.stale || document.behind) {
        return fail(ErrorCode::cancelled, "cancelled");
    }
    return {};
}

void Worker::cancel(DocumentState& document) {
    const Lock lock(mutex_);
    cancel_requests_of(document, "cancelled");
}

void Worker::forget(DocumentState& document) {
    {
        const Lock lock(mutex_);
        cancel_requests_of(document, "the session's cache is being dropped");
        forgotten_.push_back(document.id);
        stop_background();
    }
    wake_.notify_all();
}

SessionStats Worker::stats(const DocumentState& document) const {
    const Lock lock(mutex_);
    SessionStats stats = document.stats;
    stats.cache_state = cache_state(document);
    return stats;
}

MemoryUse Worker::memory() const {
    const Lock lock(mutex_);
    return memory_;
}

CacheState Worker::cache_state(const DocumentState& document) {
    if (document.behind) {
        return CacheState::behind;
    }
    if (document.stats.tokens == 0) {
        return CacheState::empty;
    }
    if (!document.in_memory) {
        return CacheState::put_away;
    }
    return document.stale ? CacheState::stale : CacheState::healed;
}

void Worker::forget_tokens(DocumentState& document) {
    document.stats.version_encoded = 0;
    document.stats.tokens = 0;
    document.stats.tokens_exact = 0;
    document.stats.tokens_bit_exact = 0;
    document.stats.cache_bytes = 0;
}

tl::unexpected<Error> Worker::without_text() {
    return fail(ErrorCode::invalid_argument, "the session has no text; give it one first");
}

void Worker::end(Request& request, Result<void> result) {
    request.result = std::move(result);
    request.done = true;
    done_.notify_all();
}

void Worker::cancel_requests_of(const DocumentState& document, std::string_view reason) {
    std::erase_if(requests_, [&](const auto& request) {
        if (request->document.get() != &document) {
            return false;
        }
        end(*request, fail(ErrorCode::cancelled, std::string(reason)));
        return true;
    });
    if (current_.request != nullptr && current_.document == &document) {
        cancel_ = true;
    }
}

void Worker::note_use(const DocumentState& document) {
    const auto found = std::ranges::find(documents_, &document, &std::shared_ptr<DocumentState>::get);
    std::rotate(documents_.begin(), found, found + 1);
}

void Worker::stop_background() {
    if (current_.document != nullptr && current_.request == nullptr) {
        cancel_ = true;
    }
}

} // namespace pie
