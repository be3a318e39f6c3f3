#include "model/loopback_hub.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string_view>

namespace pie {
namespace {

constexpr int poll_ms = 20;

// A listening socket on a port that the system chooses.
int listen_on_loopback(int& port) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener, 16) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port = ntohs(address.sin_port);
    return listener;
}

bool readable(int descriptor) {
    pollfd waiting = {descriptor, POLLIN, 0};
    return poll(&waiting, 1, poll_ms) > 0;
}

bool send_all(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
}

std::string header_of(const std::string& request, const std::string& name) {
    const size_t at = request.find("\r\n" + name + ": ");
    if (at == std::string::npos) {
        return "";
    }
    const size_t begin = at + name.size() + 4;
    return request.substr(begin, request.find("\r\n", begin) - begin);
}

} // namespace

LoopbackHub::LoopbackHub() {
    std::signal(SIGPIPE, SIG_IGN);
    listener_ = listen_on_loopback(port_);
    thread_ = std::thread([this] { run(); });
}

LoopbackHub::~LoopbackHub() {
    stopping_ = true;
    thread_.join();
    close(listener_);
}

std::string LoopbackHub::endpoint() const {
    return fmt::format("http://127.0.0.1:{}", port_);
}

void LoopbackHub::serve(const std::string& target, Served served) {
    const std::lock_guard lock(mutex_);
    served_[target] = std::move(served);
}

std::vector<SeenRequest> LoopbackHub::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

Served LoopbackHub::served_for(const std::string& target) const {
    const std::lock_guard lock(mutex_);
    const auto found = served_.find(target);
    return found == served_.end() ? Served{"no such thing", 404} : found->second;
}

void LoopbackHub::run() {
    while (!stopping_) {
        if (!readable(listener_)) {
            continue;
        }
        const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection >= 0) {
            answer(connection);
            close(connection);
        }
    }
}

void LoopbackHub::answer(int connection) {
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
        char buffer[4096];
        const ssize_t count = recv(connection, buffer, sizeof(buffer), 0);
        if (count <= 0) {
            return;
        }
        request.append(buffer, static_cast<size_t>(count));
    }
    const size_t target_begin = request.find(' ') + 1;
    const std::string target = request.substr(target_begin, request.find(' ', target_begin) - target_begin);
    const std::string range = header_of(request, "Range");
    {
        const std::lock_guard lock(mutex_);
        seen_.push_back({target, range, header_of(request, "Authorization")});
    }
    const Served served = served_for(target);
    if (!served.redirect_to.empty()) {
        send_all(connection, fmt::format("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n"
                                         "Connection: close\r\n\r\n",
                                         served.redirect_to));
        return;
    }
    uint64_t begin = 0;
    std::string status = fmt::format("{} X", served.status);
    std::string content_range;
    if (served.ranges == RangeSupport::yes && range.rfind("bytes=", 0) == 0 && served.status == 200) {
        begin = std::stoull(range.substr(6));
        if (begin >= served.body.size()) {
            send_all(connection, "HTTP/1.1 416 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        }
        status = "206 Partial Content";
        content_range = fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin, served.body.size() - 1,
                                    served.body.size());
    }
    send_all(connection, fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
                                     status, served.body.size() - begin, content_range));
    send_body(connection, served, begin);
}

void LoopbackHub::send_body(int connection, const Served& served, uint64_t begin) {
    const uint64_t size_bytes =
        std::min({served.body.size() - begin, served.drop_after_bytes, served.stall_after_bytes});
    if (!send_all(connection, std::string_view(served.body).substr(begin, size_bytes))) {
        return;
    }
    if (served.stall_after_bytes != UINT64_MAX) {
        // Until the client gives up, which makes the connection readable, or the test ends.
        while (!stopping_ && !readable(connection)) {
        }
    }
}

std::string address_without_server() {
    int port = 0;
    const int listener = listen_on_loopback(port);
    close(listener);
    return fmt::format("http://127.0.0.1:{}", port);
}

} // namespace pie
