#include "server/http_server.h"

#include "server/server.h"

#include <httplib.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <list>
#include <mutex>
#include <string>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr double bytes_a_second_min = 100'000;   // of a request that takes longer than its time
constexpr Seconds look_interval(0.1);            // for the end of the server
constexpr Seconds farewell(0.1);                 // for what a client sends though it was refused
constexpr size_t farewell_bytes_max = 1'000'000; // of that

// Whether the socket is ready for `events` within the time.
bool is_ready(socket_t socket, short events, Seconds time) {
    pollfd entry{.fd = socket, .events = events, .revents = 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(std::max(time, Seconds(0)));
    return poll(&entry, 1, static_cast<int>(milliseconds.count())) > 0;
}

// The threads that wait for their clients to send.
class Waiting {
    struct Entry {
        socket_t socket;
        Clock::time_point since;
        bool is_closed = false;
    };

  public:
    explicit Waiting(size_t n_max) : n_max_(n_max) {}

    // One of them, for as long as it lives.
    class Place {
      public:
        Place(Waiting& waiting, socket_t socket, Clock::time_point since) : waiting_(waiting) {
            const std::lock_guard lock(waiting_.mutex_);
            entry_ = waiting_.entries_.insert(waiting_.entries_.end(), {socket, since});
            if (++waiting_.n_open_ > waiting_.n_max_) {
                waiting_.close_oldest();
            }
        }
        ~Place() {
            const std::lock_guard lock(waiting_.mutex_);
            waiting_.n_open_ -= entry_->is_closed ? 0 : 1;
            waiting_.entries_.erase(entry_);
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

      private:
        Waiting& waiting_;
        std::list<Entry>::iterator entry_;
    };

  private:
    void close_oldest() {
        Entry* oldest = nullptr;
        for (Entry& entry : entries_) {
            if (!entry.is_closed && (oldest == nullptr || entry.since < oldest->since)) {
                oldest = &entry;
            }
        }
        oldest->is_closed = true;
        --n_open_;
        shutdown(oldest->socket, SHUT_RDWR); // which wakes its thread
    }

    size_t n_max_;
    std::mutex mutex_;
    std::list<Entry> entries_;
    size_t n_open_ = 0;
};

using AddressOf = int (*)(int, sockaddr*, socklen_t*);

void read_address(socket_t socket, AddressOf address_of, std::string& ip, int& port) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    if (address_of(socket, generic, &size) == 0 &&
        getnameinfo(generic, size, host.data(), host.size(), service.data(), service.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        ip = host.data();
        port = std::atoi(service.data());
    }
}

// What one client sends, request by request, and what it is answered.
class ClientStream final : public httplib::Stream {
  public:
    struct Limits {
        Seconds idle;    // before a request
        Seconds request; // until all of it is there
        Seconds read;    // between two pieces of it
        Seconds write;
    };

    ClientStream(socket_t socket, const Limits& limits, Waiting& waiting,
                 const std::atomic<socket_t>& listening)
        : socket_(socket), limits_(limits), waiting_(waiting), listening_(listening) {}

    // Waits for the next request, whose time begins with its first byte.
    bool begin_request() {
        since_ = Clock::now();
        n_received_ = 0;
        const bool is_there = is_readable() || wait_until(since_ + limits_.idle);
        since_ = Clock::now();
        return is_there;
    }

    bool is_readable() const override { return begin_ < end_; }
    bool wait_readable() const override {
        const Seconds time = limits_.request + Seconds(static_cast<double>(n_received_) / bytes_a_second_min);
        return wait_until(std::min(Clock::now() + limits_.read, since_ + time));
    }
    bool wait_writable() const override { return is_ready(socket_, POLLOUT, limits_.write); }
    bool is_peer_alive() const override {
        char next = 0;
        return !is_ready(socket_, POLLIN, Seconds(0)) || recv(socket_, &next, 1, MSG_PEEK) > 0;
    }

    ssize_t read(char* to, size_t size) override {
        if (!is_readable()) {
            const ssize_t n = fill();
            if (n <= 0) {
                return n;
            }
        }
        const size_t n = std::min(size, end_ - begin_);
        std::memcpy(to, buffer_.data() + begin_, n);
        begin_ += n;
        return static_cast<ssize_t>(n);
    }
    ssize_t write(const char* from, size_t size) override {
        return wait_writable() ? send(socket_, from, size, MSG_NOSIGNAL) : -1;
    }

    const char* buffered_data(size_t& size) const override {
        size = end_ - begin_;
        return size == 0 ? nullptr : buffer_.data() + begin_;
    }
    void consume_buffered(size_t size) override { begin_ += size; }

    void get_remote_ip_and_port(std::string& ip, int& port) const override {
        read_address(socket_, getpeername, ip, port);
    }
    void get_local_ip_and_port(std::string& ip, int& port) const override {
        read_address(socket_, getsockname, ip, port);
    }
    socket_t socket() const override { return socket_; }
    time_t duration() const override {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - since_).count();
    }

  private:
    using Time = std::chrono::time_point<Clock, Seconds>;

    bool wait_until(Time end) const {
        if (is_ready(socket_, POLLIN, Seconds(0))) {
            return true;
        }
        const Waiting::Place place(waiting_, socket_, since_);
        for (Seconds left = end - Clock::now(); left > Seconds(0); left = end - Clock::now()) {
            if (listening_ == INVALID_SOCKET) {
                return false;
            }
            if (is_ready(socket_, POLLIN, std::min(left, look_interval))) {
                return true;
            }
        }
        return false;
    }

    ssize_t fill() {
        if (!wait_readable()) {
            error_ = httplib::Error::Timeout;
            return -1;
        }
        const ssize_t n = recv(socket_, buffer_.data(), buffer_.size(), 0);
        begin_ = 0;
        end_ = static_cast<size_t>(std::max<ssize_t>(n, 0));
        n_received_ += end_;
        if (n <= 0) {
            error_ = n == 0 ? httplib::Error::ConnectionClosed : httplib::Error::Read;
        }
        return n;
    }

    socket_t socket_;
    Limits limits_;
    Waiting& waiting_;
    const std::atomic<socket_t>& listening_; // invalid when the server ends
    Clock::time_point since_ = Clock::now(); // the request's first byte, or the wait for it
    size_t n_received_ = 0;                  // bytes of the request
    std::array<char, 16'384> buffer_{};
    size_t begin_ = 0; // of what nobody read yet
    size_t end_ = 0;
};

// A client that is still sending reads the answer only if it is not cut off.
void close_in_good_order(socket_t socket) {
    shutdown(socket, SHUT_WR);
    std::array<char, 16'384> rest{};
    size_t n_bytes = 0;
    const auto end = Clock::now() + farewell;
    while (n_bytes < farewell_bytes_max && is_ready(socket, POLLIN, end - Clock::now())) {
        const ssize_t n = recv(socket, rest.data(), rest.size(), 0);
        if (n <= 0 || Clock::now() > end) {
            break;
        }
        n_bytes += static_cast<size_t>(n);
    }
    close(socket);
}

class HttpServer final : public httplib::Server {
  public:
    explicit HttpServer(const ServerOptions& options)
        : request_time_(options.request_timeout_s),
          waiting_(std::max<size_t>(1, options.connections_max / 2)) {}

  private:
    bool process_and_close_socket(socket_t socket) override {
        const bool is_served = serve_guarded([&] { return serve(socket); });
        close_in_good_order(socket);
        return is_served;
    }

    bool serve(socket_t socket) {
        const ClientStream::Limits limits{.idle = Seconds(keep_alive_timeout_sec_),
                                          .request = request_time_,
                                          .read = Seconds(read_timeout_sec_),
                                          .write = Seconds(write_timeout_sec_)};
        ClientStream stream(socket, limits, waiting_, svr_sock_);
        std::string peer;
        std::string own;
        int peer_port = 0;
        int own_port = 0;
        stream.get_remote_ip_and_port(peer, peer_port);
        stream.get_local_ip_and_port(own, own_port);
        bool is_served = false;
        bool is_over = false;
        for (size_t n_left = keep_alive_max_count_; n_left > 0 && !is_over && stream.begin_request();
             --n_left) {
            is_served =
                process_request(stream, peer, peer_port, own, own_port, n_left == 1, is_over, nullptr);
            is_over = is_over || !is_served;
        }
        return is_served;
    }

    Seconds request_time_;
    Waiting waiting_;
};

} // namespace

std::unique_ptr<httplib::Server> make_http_server(const ServerOptions& options) {
    return std::make_unique<HttpServer>(options);
}

} // namespace pie
