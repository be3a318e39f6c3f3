#include "server/server.h"

#include "server/exchange.h"
#include "server/http_server.h"
#include "server/server_state.h"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace pie {

struct Server::Http {
    explicit Http(ServerOptions the_options)
        : options(std::move(the_options)), server(make_http_server(options)) {}

    ServerOptions options;
    std::atomic<ServerState*> ready = nullptr; // what requests may reach
    std::unique_ptr<httplib::Server> server;
    std::thread listener;
};

namespace {

void set_limits(httplib::Server& server, const ServerOptions& options) {
    server.set_payload_max_length(options.body_bytes_max);
    server.set_read_timeout(options.read_timeout_s);
    server.set_write_timeout(options.write_timeout_s);
    const size_t connections_max = options.connections_max;
    server.new_task_queue = [connections_max] {
        constexpr size_t threads_kept = 8;
        constexpr size_t queue_ratio = 4; // many that come at once are soon looked at; one more is refused
        return new httplib::ThreadPool(std::min(threads_kept, connections_max), connections_max,
                                       queue_ratio * connections_max);
    };
    // The library's own options would let a second server share the port, and take half of the requests.
    server.set_socket_options(
        [](socket_t socket) { httplib::set_socket_opt(socket, SOL_SOCKET, SO_REUSEADDR, 1); });
}

} // namespace

Result<void> check_reach(const ServerOptions& options) {
    if (is_loopback(options.host) || options.api_key.is_set() || options.insecure) {
        return {};
    }
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("other machines could use the server at {} without a key; give --api-key-file, set "
                    "PIE_API_KEY, or say --insecure",
                    options.host));
}

Server::Server(std::unique_ptr<Http> http) : http_(std::move(http)) {}

Server::~Server() {
    stop();
}

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options) {
    PIE_TRY(check_reach(options));
    auto http = std::make_unique<Http>(std::move(options));
    std::unique_ptr<Server> server(new Server(std::move(http)));
    PIE_TRY(server->bind());
    return server;
}

Result<std::unique_ptr<Server>> Server::start(Model model, ServerOptions options) {
    PIE_ASSIGN(std::unique_ptr<Server> server, listen(std::move(options)));
    server->serve(std::move(model));
    return server;
}

Result<void> Server::bind() {
    httplib::Server& server = *http_->server;
    const ServerOptions& options = http_->options;
    set_limits(server, options);
    add_gate(server, options, http_->ready);
    errno = 0;
    if (options.port == 0) {
        port_ = server.bind_to_any_port(options.host);
    } else {
        port_ = server.bind_to_port(options.host, options.port) ? options.port : -1;
    }
    if (port_ < 0) {
        return fail(ErrorCode::io,
                    fmt::format("cannot listen on {}:{}: {}; give another --host or --port", options.host,
                                options.port, errno == 0 ? "no such address" : std::strerror(errno)));
    }
    http_->listener = std::thread([&server] { server.listen_after_bind(); });
    server.wait_until_ready();
    return {};
}

void Server::serve(Model model) {
    httplib::Server& server = *http_->server;
    state_ = std::make_unique<ServerState>(std::move(model), http_->options);
    add_completion_routes(server, *state_);
    add_document_routes(server, *state_);
    add_model_routes(server, *state_);
    add_slot_routes(server, *state_);
    http_->ready.store(state_.get(), std::memory_order_release); // no thread looks at routes before
}

void Server::stop() {
    if (state_) {
        state_->stopping = true;
    }
    http_->server->stop();
    if (http_->listener.joinable()) {
        http_->listener.join();
    }
    if (state_) {
        state_->recorder.reset();
    }
}

} // namespace pie
