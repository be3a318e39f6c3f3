// What every request goes through before its route, and what answers the ones that reach none.

#include "server/exchange.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

bool is_public(const std::string& path) {
    return path == "/health" || path == "/v1/health";
}

std::string presented_key(const httplib::Request& request) {
    const std::string bearer = request.get_header_value("Authorization");
    constexpr std::string_view scheme = "Bearer ";
    return bearer.starts_with(scheme) ? bearer.substr(scheme.size()) : request.get_header_value("X-Api-Key");
}

struct Refusal {
    int status;
    std::string message;
};

// A server without a key answers only to names of this machine, and only to its own pages.
std::optional<Refusal> refuse_stranger(const ServerOptions& options, const httplib::Request& request) {
    const std::string host = request.get_header_value("Host");
    if (!options.insecure && !is_local_name(host) && !is_host(host, options.allowed_hosts)) {
        return Refusal{403, fmt::format("the header 'Host: {}' names none of this machine's own names; start "
                                        "the server with --allow-host {}, or with a key (--api-key-file)",
                                        host, name_of_host(host))};
    }
    const std::string origin = request.get_header_value("Origin");
    const bool is_ours = origin.empty() || options.cors_origin == "*" || origin == options.cors_origin ||
                         origin == "http://" + host;
    if (!is_ours) {
        return Refusal{403, fmt::format("the header 'Origin: {0}' is of a web page that may not use the "
                                        "server; start it with --cors-origin {0}",
                                        origin)};
    }
    return std::nullopt;
}

std::optional<Refusal> refuse_form(const httplib::Request& request) {
    if (request.is_multipart_form_data()) {
        return Refusal{415, "a body of multipart/form-data is not supported; send JSON"};
    }
    const std::string encoding = request.get_header_value("Content-Encoding");
    if (!encoding.empty() && encoding != "identity") {
        return Refusal{
            415, fmt::format("'Content-Encoding: {}' is not supported; send the body as it is", encoding)};
    }
    return std::nullopt;
}

// Before the body is read.
std::optional<Refusal> refuse_large(ServerState& state, const httplib::Request& request, Trace& trace) {
    const bool is_chunked = request.has_header("Transfer-Encoding");
    const size_t n_bytes =
        is_chunked ? state.options.body_bytes_max : request.get_header_value_u64("Content-Length");
    if (n_bytes <= body_bytes_free || n_bytes > state.options.body_bytes_max) { // the latter the library sees
        return std::nullopt;
    }
    trace.body_share = state.bodies.take(n_bytes);
    if (trace.body_share == nullptr) {
        return Refusal{503, fmt::format("requests of {} bytes are being served, and no larger ones are taken "
                                        "beside them; try again later",
                                        state.options.bodies_bytes_max)};
    }
    return std::nullopt;
}

std::optional<Refusal> refuse_access(const ServerOptions& options, const httplib::Request& request) {
    if (!options.api_key.is_set()) {
        return refuse_stranger(options, request);
    }
    if (!is_public(request.path) && !options.api_key.matches(presented_key(request))) {
        return Refusal{401, "the API key is missing or wrong; send it as 'Authorization: Bearer KEY'"};
    }
    return std::nullopt;
}

std::optional<Refusal> refusal(ServerState& state, const httplib::Request& request, Trace& trace) {
    if (state.stopping) {
        return Refusal{503, "the server is shutting down"};
    }
    if (auto access = refuse_access(state.options, request)) {
        return access;
    }
    if (auto form = refuse_form(request)) {
        return form;
    }
    return refuse_large(state, request, trace);
}

void refuse(httplib::Response& response, const Refusal& refused) {
    response.status = refused.status;
    if (refused.status == 503) {
        response.set_header("Retry-After", "1");
    }
    response.set_content(error_json(refused.status, refused.message), json_type);
}

void refuse_while_loading(const ServerOptions& options, const httplib::Request& request,
                          httplib::Response& response) {
    const auto refused = refuse_access(options, request);
    refuse(response, refused.value_or(Refusal{503, "Loading model"})); // llama-server's words
}

// A pattern is one place that varies, between texts that do not.
bool is_of(std::string_view path, std::string_view pattern) {
    const size_t begin = pattern.find_first_of("(:");
    if (begin == std::string_view::npos) {
        return path == pattern;
    }
    const size_t end = std::min(pattern.find_first_of(")/", begin), pattern.size());
    const std::string_view before = pattern.substr(0, begin);
    const std::string_view behind =
        pattern.substr(std::min(end + (pattern[begin] == '(' ? 1 : 0), pattern.size()));
    return path.size() > before.size() + behind.size() && path.starts_with(before) && path.ends_with(behind);
}

// That a path is served with, as the header Allow has them.
std::string methods_of(std::string_view path, const std::vector<Route>& routes) {
    std::string methods;
    for (const Route& route : routes) {
        if (is_of(path, route.pattern) && methods.find(route.method) == std::string::npos) {
            methods += (methods.empty() ? "" : ", ") + std::string(route.method);
        }
    }
    return methods;
}

void tell_method(const ServerState& state, const httplib::Request& request, httplib::Response& response) {
    const std::string methods = methods_of(request.path, state.routes);
    if (response.status == 404 && !methods.empty()) {
        response.status = 405;
        response.set_header("Allow", methods);
        response.set_content(
            error_json(405, fmt::format("this endpoint takes {}, not {}", methods, request.method)),
            json_type);
    }
}

std::string explanation(int status, const ServerOptions& options) {
    switch (status) {
    case 404:
        return "there is no such endpoint";
    case 413:
        return fmt::format("the body has more than {} bytes, the most that the server takes",
                           options.body_bytes_max);
    case 414:
        return "the address is too long";
    default:
        return status < 500 ? "this is no HTTP request that the server understands"
                            : "the server failed; its log says why";
    }
}

void allow_origin(httplib::Server& server, const std::string& origin) {
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

void add_gate(httplib::Server& server, const ServerOptions& options, const std::atomic<ServerState*>& ready) {
    using enum httplib::Server::HandlerResponse;
    server.set_pre_routing_handler([&](const httplib::Request& request, httplib::Response& response) {
        ServerState* const state = ready.load(std::memory_order_acquire);
        if (state == nullptr) {
            refuse_while_loading(options, request, response);
            return Handled;
        }
        auto trace = std::make_shared<Trace>(*state);
        trace->method = request.method;
        response.user_data.set(trace_key, trace);
        // A browser asks for permission without the key.
        const bool asks = request.method == "OPTIONS" && !options.cors_origin.empty();
        const auto refused = asks ? std::nullopt : refusal(*state, request, *trace);
        if (!refused) {
            return Unhandled;
        }
        refuse(response, *refused);
        return Handled;
    });
    server.set_error_handler([&](const httplib::Request& request, httplib::Response& response) {
        const ServerState* const state = ready.load(std::memory_order_acquire);
        if (response.body.empty() && state != nullptr) {
            tell_method(*state, request, response);
        }
        if (response.body.empty()) {
            response.set_content(error_json(response.status, explanation(response.status, options)),
                                 json_type);
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
    allow_origin(server, options.cors_origin);
}

} // namespace pie
