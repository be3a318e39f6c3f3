#pragma once

// One request and its answer, as the routes see them. A Trace goes with it and is told to the log and the
// metrics at its end, whatever that is.
//
// Thread rule: the connection's thread.

#include "server/answer.h"
#include "server/generation.h"
#include "server/job.h"
#include "server/metrics.h"
#include "server/server_state.h"

#include <pie/result.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace httplib {
struct Request;
struct Response;
class Server;
} // namespace httplib

namespace pie {

// What connections_max bodies of these sizes take is no trouble.
inline constexpr size_t body_bytes_free = 1'000'000;
inline constexpr size_t body_bytes_parsed_freely = 64'000;

class Trace {
  public:
    explicit Trace(ServerState& state) : state_(state) {}
    ~Trace();
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    // `prompt_milliseconds_max` is how long the client meant to wait for its prompt; 0: it did not say.
    void note(const Generated& generated, double prompt_milliseconds_max);

    std::string method;
    ByteBudget::Share body_share; // null: the body is small
    ServedRequest served{.endpoint = "other"};

  private:
    void note_if_late(const Generated& generated, double prompt_milliseconds_max);

    ServerState& state_;
    std::string late_; // why, for the log; empty: it was not
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Exchange {
    ServerState& state;
    const httplib::Request& request;
    httplib::Response& response;
    std::shared_ptr<Trace> trace;
    std::string body = {};

    // Reads the body with one of the request parsers, and drops it. Large bodies are read one after the
    // other, because what they become takes many times their size for as long as that lasts.
    template <typename Request>
    Result<Request> parse(Result<Request> (*parser)(std::string_view)) {
        std::unique_lock lock(state.parsing, std::defer_lock);
        if (body.size() > body_bytes_parsed_freely) {
            lock.lock();
        }
        auto parsed = parser(body);
        body = {};
        return parsed;
    }

    void answer(std::string json);
    void answer(std::string text, const char* content_type);
    void fail(const Error& error);
    void fail(int status, std::string json);

    std::string peer() const;

    // Does the work, and answers with its completions, whole or as a stream of events.
    void answer_with(AnswerContext context, Job::Work work);
    void stream(AnswerContext context, Job::Work work);
};

// Of httplib's user data: a request's Trace.
inline constexpr const char* trace_key = "trace";
inline constexpr const char* json_type = "application/json; charset=utf-8";

enum class Method { get, post, put, patch, remove };
using Handler = void (*)(Exchange& exchange);

// `pattern` is httplib's, `label` what log and metrics call it.
void add_route(httplib::Server& server, ServerState& state, Method method, const char* pattern,
               const char* label, Handler handler);

// Before any route: whether the request may come in, and its trace. Behind them: errors that the library
// found. As long as `state` is null, no request comes further, and routes may be added.
void add_gate(httplib::Server& server, const ServerOptions& options, const std::atomic<ServerState*>& state);

void add_completion_routes(httplib::Server& server, ServerState& state);
void add_document_routes(httplib::Server& server, ServerState& state);
void add_model_routes(httplib::Server& server, ServerState& state);
void add_slot_routes(httplib::Server& server, ServerState& state);

} // namespace pie
