#include "server/exchange.h"

#include <fmt/format.h>
#include <httplib.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace pie {
namespace {

constexpr const char* trace_key = "trace";
constexpr const char* json_type = "application/json; charset=utf-8";

// Nobody hears it; it is for the log.
constexpr int status_client_gone = 499;

} // namespace

Trace::~Trace() {
    served.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    std::string line =
        fmt::format("{} {} {} {:.1f} ms", method, served.endpoint, served.status, served.milliseconds);
    if (served.is_completion) {
        fmt::format_to(std::back_inserter(line), ", slot {}: kept {}, moved {}, encoded {}, predicted {}",
                       served.slot, served.update.tokens_kept, served.update.tokens_moved,
                       served.update.tokens_encoded, served.tokens_predicted);
    }
    spdlog::log(served.status >= 500 ? spdlog::level::err : spdlog::level::info, line);
    state_.metrics.count(served);
}

void Trace::note(const Generated& generated) {
    const Completion& first = generated.completions.front();
    served.is_completion = true;
    served.update = generated.update;
    served.slot = generated.slot;
    served.first_token_milliseconds = generated.update.milliseconds + first.first_token_milliseconds;
    for (const Completion& completion : generated.completions) {
        served.predicted_milliseconds += completion.milliseconds;
        served.tokens_predicted += completion.tokens.size();
    }
}

void Exchange::answer(std::string json) {
    answer(std::move(json), json_type);
}

void Exchange::answer(std::string text, const char* content_type) {
    response.status = 200;
    response.set_content(std::move(text), content_type);
}

void Exchange::fail(int status, std::string json) {
    response.status = status;
    if (status == 429 || status == 503) {
        response.set_header("Retry-After", "1");
    }
    if (status == 409) {
        response.set_header("X-Should-Retry", "false"); // what OpenAI's clients would do by themselves
    }
    response.set_content(std::move(json), json_type);
}

void Exchange::fail(const Error& error) {
    if (error.code == ErrorCode::internal || error.code == ErrorCode::io) {
        spdlog::error("{} {}: {}", trace->method, trace->served.endpoint, error.message);
    }
    if (error.code == ErrorCode::cancelled && state.stopping) {
        fail(503, error_json(503, "the server is shutting down"));
    } else if (error.code == ErrorCode::cancelled && request.is_connection_closed()) {
        fail(status_client_gone, error_json(error));
    } else {
        fail(http_status(error.code), error_json(error));
    }
}

const std::string& Exchange::body() const {
    return request.body;
}

std::string Exchange::peer() const {
    return request.remote_addr;
}

void Exchange::answer_with(AnswerContext context, Job::Work work) {
    if (context.request.stream) {
        stream(std::move(context), std::move(work));
        return;
    }
    Job job(std::move(work));
    const auto generated = job.result([this] { return state.stopping || request.is_connection_closed(); });
    if (!generated) {
        fail(generated.error());
        return;
    }
    trace->note(*generated);
    answer(completions_json(context, *generated));
}

// An error before the first text is an answer like any other, with its status.
void Exchange::stream(AnswerContext context, Job::Work work) {
    const auto job = std::make_shared<Job>(std::move(work));
    const auto is_unwanted = [&shared = state, is_closed = request.is_connection_closed] {
        return shared.stopping || is_closed();
    };
    auto text = job->next_text(is_unwanted);
    if (!text) {
        const auto generated = job->result(is_unwanted);
        if (!generated) {
            fail(generated.error());
            return;
        }
    }
    response.status = 200;
    response.set_header("Cache-Control", "no-cache");
    const auto write_all = [context = std::move(context), job, text, is_unwanted,
                            its_trace = trace](size_t, httplib::DataSink& sink) mutable {
        const auto write = [&](const std::string& data) { return sink.write(data.data(), data.size()); };
        while (text) {
            if (!write(text_event(context, *text))) {
                its_trace->served.status = status_client_gone;
                return false;
            }
            text = job->next_text(is_unwanted);
        }
        const auto generated = job->result(is_unwanted);
        if (generated) {
            its_trace->note(*generated);
        } else {
            its_trace->served.status = http_status(generated.error().code);
        }
        const bool written =
            write(generated ? final_events(context, *generated) : error_event(generated.error()));
        sink.done();
        return written;
    };
    response.set_chunked_content_provider("text/event-stream", write_all);
}

void add_route(httplib::Server& server, ServerState& state, Method method, const char* pattern,
               const char* label, Handler handler) {
    const auto serve = [&state, label, handler](const httplib::Request& request,
                                                httplib::Response& response) {
        const auto* trace = response.user_data.get<std::shared_ptr<Trace>>(trace_key);
        (*trace)->served.endpoint = label;
        Exchange exchange{state, request, response, *trace};
        handler(exchange);
    };
    switch (method) {
    case Method::get:
        server.Get(pattern, serve);
        break;
    case Method::post:
        server.Post(pattern, serve);
        break;
    case Method::put:
        server.Put(pattern, serve);
        break;
    case Method::patch:
        server.Patch(pattern, serve);
        break;
    case Method::remove:
        server.Delete(pattern, serve);
        break;
    }
}

namespace {

bool is_public(const std::string& path) {
    return path == "/health" || path == "/v1/health";
}

std::string presented_key(const httplib::Request& request) {
    const std::string bearer = request.get_header_value("Authorization");
    constexpr std::string_view scheme = "Bearer ";
    return bearer.starts_with(scheme) ? bearer.substr(scheme.size()) : request.get_header_value("X-Api-Key");
}

// The status to refuse with, or 0.
int refusal(const ServerState& state, const httplib::Request& request) {
    const ServerOptions& options = state.options;
    if (state.stopping) {
        return 503;
    }
    if (options.api_key.is_set()) {
        return is_public(request.path) || options.api_key.matches(presented_key(request)) ? 0 : 401;
    }
    const bool is_ours = options.cors_origin == "*" || !request.has_header("Origin") ||
                         request.get_header_value("Origin") == options.cors_origin;
    const bool is_named = options.insecure || is_local_name(request.get_header_value("Host"));
    return is_ours && is_named ? 0 : 403;
}

const char* explanation(int status) {
    switch (status) {
    case 401:
        return "the API key is missing or wrong; send it as 'Authorization: Bearer KEY'";
    case 403:
        return "the request came from a web page, or to a name that is not this machine's own";
    case 404:
        return "there is no such endpoint";
    case 413:
        return "the body is too large";
    case 414:
        return "the address is too long";
    case 503:
        return "the server is shutting down";
    default:
        return status < 500 ? "this is no HTTP request that the server understands"
                            : "the server failed; its log says why";
    }
}

void allow_origin(httplib::Server& server, const ServerState& state) {
    const std::string& origin = state.options.cors_origin;
    if (origin.empty()) {
        return;
    }
    server.set_default_headers({{"Access-Control-Allow-Origin", origin}});
    server.Options(".*", [](const httplib::Request&, httplib::Response& response) {
        response.set_header("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE");
        response.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type");
        response.status = 204;
    });
}

} // namespace

void add_gate(httplib::Server& server, ServerState& state) {
    server.set_pre_routing_handler([&state](const httplib::Request& request, httplib::Response& response) {
        auto trace = std::make_shared<Trace>(state);
        trace->method = request.method;
        response.user_data.set(trace_key, trace);
        // A browser asks for permission without the key.
        const bool asks = request.method == "OPTIONS" && !state.options.cors_origin.empty();
        const int status = asks ? 0 : refusal(state, request);
        if (status == 0) {
            return httplib::Server::HandlerResponse::Unhandled;
        }
        response.status = status; // the error handler says why
        return httplib::Server::HandlerResponse::Handled;
    });
    server.set_error_handler([](const httplib::Request&, httplib::Response& response) {
        if (response.body.empty()) {
            response.set_content(error_json(response.status, explanation(response.status)), json_type);
        }
    });
    server.set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
            response.status = 500;
            response.body.clear();
        });
    server.set_logger([](const httplib::Request&, const httplib::Response& response) {
        if (const auto* trace = response.user_data.get<std::shared_ptr<Trace>>(trace_key)) {
            (*trace)->served.status = response.status;
        }
    });
    allow_origin(server, state);
}

} // namespace pie
