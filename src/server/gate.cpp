// What every request goes through before its route, and what answers the ones that reach none.

#include "server/exchange.h"

#include <httplib.h>

#include <exception>
#include <memory>
#include <string>
#include <string_view>

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
