#pragma once

// A model hub on a loopback port, for tests: serves what it is given, as badly as it is told to, and
// remembers what it was asked. One thread of its own answers one request after the other; the test's thread
// may call at any time.

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pie {

enum class RangeSupport { yes, no };

struct Served {
    std::string body;
    int status = 200;
    std::string redirect_to = {};            // not empty: 302 to this address
    uint64_t drop_after_bytes = UINT64_MAX;  // the connection is closed after so many bytes of each answer
    uint64_t stall_after_bytes = UINT64_MAX; // nothing more comes after so many bytes
    RangeSupport ranges = RangeSupport::yes;
};

struct SeenRequest {
    std::string target; // with the query
    std::string range;  // "" or "bytes=5-"
    std::string authorization;
};

class LoopbackHub {
  public:
    LoopbackHub();
    ~LoopbackHub();
    LoopbackHub(const LoopbackHub&) = delete;
    LoopbackHub& operator=(const LoopbackHub&) = delete;

    std::string endpoint() const; // "http://127.0.0.1:port"
    void serve(const std::string& target, Served served);
    std::vector<SeenRequest> seen() const;

  private:
    void run();
    void answer(int connection);
    Served served_for(const std::string& target) const;
    void send_body(int connection, const Served& served, uint64_t begin);

    int listener_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::map<std::string, Served> served_;
    std::vector<SeenRequest> seen_;
    std::thread thread_;
};

// The address of a port on which nobody listens.
std::string address_without_server();

} // namespace pie
