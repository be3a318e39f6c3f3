#include "server/exchange.h"

#include "base/elapsed.h"

#include <fmt/format.h>
#include <httplib.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace pie {
namespace {

// Nobody hears it; it is for the log.
constexpr int status_client_gone = 499;

// A request is cancelled for several reasons, of which the error knows none.
int status_of(const Error& error, const ServerState& state, const std::function<bool()>& is_closed) {
    if (error.code != ErrorCode::cancelled) {
        return http_status(error.code);
    }
    if (state.stopping) {
        return 503;
    }
    return is_closed() ? status_client_gone : http_status(error.code);
}

const char* name_of(Method method) {
    switch (method) {
    case Method::get:
        return "GET";
    case Method::post:
        return "POST";
    case Method::put:
        return "PUT";
    case Method::patch:
        return "PATCH";
    case Method::remove:
        return "DELETE";
    }
    return "";
}

// What monitors ask for every few seconds would fill the log.
spdlog::level::level_enum log_level(const ServedRequest& served) {
    if (served.status >= 500) {
        return spdlog::level::err;
    }
    const bool is_probe = served.endpoint.ends_with("/health") || served.endpoint == "/metrics";
    return is_probe && served.status < 400 ? spdlog::level::debug : spdlog::level::info;
}

} // namespace

Trace::~Trace() {
    served.milliseconds = milliseconds_since(start_);
    std::string line =
        fmt::format("{} {} {}{} {:.1f} ms", method, served.endpoint, served.status,
                    served.status == status_client_gone ? " client closed" : "", served.milliseconds);
    if (served.is_completion) {
        fmt::format_to(std::back_inserter(line), ", slot {}: kept {}, moved {}, encoded {}, predicted {}",
                       served.slot, served.update.tokens_kept, served.update.tokens_moved,
                       served.update.tokens_encoded, served.tokens_predicted);
        line += late_;
    }
    spdlog::log(log_level(served), line);
    state_.metrics.count(served);
}

void Trace::note(const Generated& generated, double prompt_milliseconds_max) {
    const Completion& first = generated.completions.front();
    served.is_completion = true;
    served.update = generated.update;
    served.slot = generated.slot;
    served.first_token_milliseconds = generated.update.milliseconds + first.first_token_milliseconds;
    for (const Completion& completion : generated.completions) {
        served.predicted_milliseconds += completion.milliseconds;
        served.tokens_predicted += completion.tokens.size();
    }
    note_if_late(generated, prompt_milliseconds_max);
}

void Trace::note_if_late(const Generated& generated, double prompt_milliseconds_max) {
    double predict_milliseconds = 0; // completions are written beside each other
    for (const Completion& completion : generated.completions) {
        predict_milliseconds = std::max(predict_milliseconds, completion.milliseconds);
    }
    const double ready_milliseconds = generated.milliseconds - predict_milliseconds;
    if (prompt_milliseconds_max > 0 && ready_milliseconds > prompt_milliseconds_max) {
        late_ =
            fmt::format("; late: its prompt was ready after {:.0f} ms, of which {} tokens were encoded for "
                        "{:.0f} ms, and t_max_prompt_ms is {:.0f}",
                        ready_milliseconds, generated.update.tokens_encoded, generated.update.milliseconds,
                        prompt_milliseconds_max);
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
    const int status = status_of(error, state, request.is_connection_closed);
    fail(status, status == 503 ? error_json(503, "the server is shutting down") : error_json(error));
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
    trace->note(*generated, context.request.options.prompt_milliseconds_max);
    answer(completions_json(context, *generated));
}

// An error before the first text is an answer like any other, with its status.
void Exchange::stream(AnswerContext context, Job::Work work) {
    const auto job = std::make_shared<Job>(std::move(work));
    const auto is_unwanted = [&shared = state, is_closed = request.is_connection_closed] {
        return shared.stopping || is_closed();
    };
    auto part = job->next_part(is_unwanted);
    if (!part) {
        const auto generated = job->result(is_unwanted);
        if (!generated) {
            fail(generated.error());
            return;
        }
    }
    response.status = 200;
    response.set_header("Cache-Control", "no-cache");
    const auto prompt_milliseconds_max = context.request.options.prompt_milliseconds_max;
    const auto write_all = [&state = state, is_closed = request.is_connection_closed, prompt_milliseconds_max,
                            answer = AnswerEvents(std::move(context)), job, part = std::move(part),
                            is_unwanted, its_trace = trace](size_t, httplib::DataSink& sink) mutable {
        const auto write = [&](const std::string& data) {
            return data.empty() || sink.write(data.data(), data.size());
        };
        bool is_heard = write(answer.first());
        for (; is_heard && part; part = is_heard ? job->next_part(is_unwanted) : std::nullopt) {
            is_heard = write(answer.part(part->index, part->part));
        }
        if (!is_heard) {
            its_trace->served.status = status_client_gone;
            return false;
        }
        const auto generated = job->result(is_unwanted);
        if (generated) {
            its_trace->note(*generated, prompt_milliseconds_max);
        } else {
            its_trace->served.status = status_of(generated.error(), state, is_closed);
        }
        const bool written = write(generated ? answer.last(*generated) : error_event(generated.error()));
        sink.done();
        return written;
    };
    response.set_chunked_content_provider("text/event-stream", write_all);
}

void add_route(httplib::Server& server, ServerState& state, Method method, const char* pattern,
               const char* label, Handler handler) {
    const auto serve_with = [&state, label, handler](const httplib::Request& request,
                                                     httplib::Response& response, std::string body) {
        const auto* trace = response.user_data.get<std::shared_ptr<Trace>>(trace_key);
        (*trace)->served.endpoint = label;
        Exchange exchange{state, request, response, *trace, std::move(body)};
        handler(exchange);
    };
    const auto serve = [serve_with](const httplib::Request& request, httplib::Response& response) {
        serve_with(request, response, {});
    };
    // The library's own way takes a body without a type for a form, of which it reads 8 KB.
    const auto serve_body = [serve_with](const httplib::Request& request, httplib::Response& response,
                                         const httplib::ContentReader& read) {
        std::string body;
        const bool is_whole = read([&body](const char* data, size_t n) {
            body.append(data, n);
            return true;
        });
        if (is_whole) {
            serve_with(request, response, std::move(body));
        } else if (response.status < 400) {
            response.status = 400; // the error handler says why
        }
    };
    state.routes.push_back({pattern, name_of(method)});
    switch (method) {
    case Method::get:
        server.Get(pattern, serve);
        break;
    case Method::post:
        server.Post(pattern, serve_body);
        break;
    case Method::put:
        server.Put(pattern, serve_body);
        break;
    case Method::patch:
        server.Patch(pattern, serve_body);
        break;
    case Method::remove:
        server.Delete(pattern, serve);
        break;
    }
}

} // namespace pie
