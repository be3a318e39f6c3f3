#pragma once

// The model thread of one loaded model, and what it computes for whom. Callers hand over texts, which are put
// into the caches in the background, and wait for requests; what nobody waits for gives way at once to what
// somebody does. In this order: requests as they came; the text that was used last, if it changed; snapshots
// that are due; its healing; and then the texts before it (idle_work.h).
//
// One session has at most one request at a time: a newer one, or a newer text, takes its place. So a queue in
// the order of arrival is fair.
//
// Thread rule: any thread may call, except from within Work. The documents are the thread's own; what a
// DocumentState holds is guarded by the Worker.

#include "engine/engine.h"
#include "model/model.h"
#include "session/live_document.h"
#include "session/store.h"
#include "text/document.h"

#include <pie/context.h>
#include <pie/model.h>
#include <pie/result.h>
#include <pie/session.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace pie {

// What a session's prompt is made of.
struct PromptSource {
    std::optional<Document> text; // none: the tokens are the prompt
    ByteOffset cursor;
    std::vector<TokenId> tokens;
    TokenHealing healing = TokenHealing::off; // of the tokens; a text is healed in any case
    DocumentContext context;
};

struct DocumentState : std::enable_shared_from_this<DocumentState> {
    std::string id; // in the store
    bool has_name = false;
    Sources sources = Sources::all;
    int n_handles = 0;
    std::shared_ptr<const PromptSource> source; // null before the first text; replaced, never changed
    bool behind = false;                        // the cache does not hold the source yet, as far as is known
    bool stale = false;                         // healing may have something to do
    bool in_memory = false;                     // its cache
    int n_waiting_to_heal = 0;                  // callers
    SessionStats stats;
};

// What is to be in the cache before a request's work is done.
enum class Preparation {
    source,        // the document's source, which it must have
    source_if_any, // the same; without a source, whatever there is
    none,          // whatever there is
};

struct RequestOptions {
    Preparation preparation = Preparation::source;
    double prepare_milliseconds_max = 0; // 0: none
};

enum class Outcome {
    done,
    out_of_time, // the preparation goes on in the background
};

class Worker {
  public:
    using Work = std::function<Result<void>(LiveDocument&, const UpdateReport&)>;

    // Errors: those of Model::load.
    static Result<std::shared_ptr<Worker>> start(const std::filesystem::path& path,
                                                 const ModelOptions& options);
    // Ends what is at work, and writes snapshots of what changed.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    std::shared_ptr<DocumentState> open(std::string_view name);
    // Of the source that `like` has, if any.
    std::shared_ptr<DocumentState> open_fresh(const DocumentState* like);
    void close(DocumentState& document);

    // Calls `change` on a copy of the document's source, and takes that. Returns the version. Errors: those
    // of `change`, after which nothing has changed.
    Result<int64_t> change(DocumentState& document, const std::function<Result<void>(PromptSource&)>& change);

    // Waits until the document's cache is as wanted and `work` was done on it, on the model thread. Errors:
    // those of Session::encode and of `work`.
    Result<Outcome> perform(DocumentState& document, const Work& work, const std::stop_token& stop,
                            const RequestOptions& options = {});

    Result<SavedCache> save(DocumentState& document, const std::filesystem::path& path,
                            const std::stop_token& stop);
    Result<SavedCache> restore(DocumentState& document, const std::filesystem::path& path,
                               const std::stop_token& stop);
    Result<void> heal(DocumentState& document, const std::stop_token& stop);
    void cancel(DocumentState& document);
    void forget(DocumentState& document);
    SessionStats stats(const DocumentState& document) const;
    MemoryUse memory() const;

    const LoadedModel& model() const { return *model_; }
    const ModelOptions& options() const { return options_; }
    int32_t n_ctx() const { return n_ctx_; }

  private:
    using Lock = std::unique_lock<std::mutex>;

    using Clock = std::chrono::steady_clock;

    // The caller may leave before it is served; what it refers to is there as long as it is not done.
    struct Request {
        std::shared_ptr<DocumentState> document;
        const Work& work;
        Preparation preparation;
        double prepare_milliseconds_max = 0;
        Result<void> result = {};
        bool done = false;
        bool cancelled = false;
    };

    // What the thread is at.
    struct Current {
        const DocumentState* document = nullptr;
        Request* request = nullptr; // null: nobody waits for it
        int64_t version = 0;        // that it puts into the cache; 0: it does not
        Clock::time_point since = {};
    };

    Worker(ModelOptions options, std::unique_ptr<LoadedModel> model, std::unique_ptr<Engine> engine);
    Result<std::unique_ptr<LiveDocument>> make_document() const;
    Result<LiveDocument*> acquire(DocumentState& document);
    void note_dropped(std::string_view id);
    std::shared_ptr<DocumentState> add_unnamed();

    void serve();
    void wait(Lock& lock);
    Result<void> run(Lock& lock, const Current& current, const std::function<Result<void>()>& job);
    bool begin_work(const Request& request);
    Outcome wait_for(Lock& lock, Request& request);
    void leave(Request& request);
    void serve_request(Lock& lock);
    // These do one thing and return true, or find nothing to do.
    bool forget_one(Lock& lock);
    bool encode_one(Lock& lock);
    bool heal_one(Lock& lock);
    bool save_some(Lock& lock);
    // `milliseconds` is what there is for it; 0: no limit. What an empty session of Sources::own encodes is a
    // full recompute.
    Result<UpdateReport> bring_up_to_date(LiveDocument& live, const PromptSource& source, Sources sources,
                                          double milliseconds) const;
    static void forget_tokens(DocumentState& document);
    static void note_tokens(DocumentState& document, const LiveDocument& live);
    void note_update(DocumentState& document, const LiveDocument& live, const UpdateReport& report,
                     int64_t version);

    static CacheState cache_state(const DocumentState& document);
    static tl::unexpected<Error> without_text();
    void end(Request& request, Result<void> result);
    void cancel_requests_of(const DocumentState& document, std::string_view reason);
    void stop_background();
    void note_use(const DocumentState& document);

    ModelOptions options_;
    std::unique_ptr<LoadedModel> model_;
    std::unique_ptr<Engine> engine_;
    int32_t n_ctx_ = 0;

    mutable std::mutex mutex_;
    std::condition_variable wake_;                          // the thread has something to do
    std::condition_variable done_;                          // a request is done, or a document healed
    std::vector<std::shared_ptr<DocumentState>> documents_; // open ones, the one used last in front
    std::deque<std::shared_ptr<Request>> requests_;
    Current current_;
    MemoryUse memory_;
    std::atomic<bool> cancel_ = false; // the engine's flag: ends what current_ is
    bool stopping_ = false;
    int64_t n_unnamed_ = 0;
    std::vector<std::string> forgotten_; // ids of documents whose caches are to be dropped
    Clock::time_point next_save_;
    DocumentStore store_; // whose writer wakes the thread
    std::thread thread_;  // last: it uses everything above
};

} // namespace pie
