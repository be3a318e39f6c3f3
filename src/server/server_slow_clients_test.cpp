// Clients that send their requests slowly, or never to the end, over loopback connections.

#include "server/test_server.h"

#include <poll.h>

#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

constexpr int never_s = 3600;

// A connection over which a request begins.
class Beginner {
  public:
    Beginner(int port, const std::string& bytes) : connection_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(connect(connection_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
        say(bytes);
    }
    ~Beginner() { close(connection_); }
    Beginner(const Beginner&) = delete;
    Beginner& operator=(const Beginner&) = delete;

    void say(const std::string& bytes) const {
        (void)send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    // Whether the server has ended the connection, whatever it said before that.
    bool is_ended() const {
        pollfd entry{.fd = connection_, .events = POLLIN, .revents = 0};
        std::array<char, 4096> buffer{};
        while (poll(&entry, 1, 0) > 0) {
            if (recv(connection_, buffer.data(), buffer.size(), 0) <= 0) {
                return true;
            }
        }
        return false;
    }

  private:
    int connection_;
};

const std::string begun_head = "POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";
const std::string begun_body =
    "POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Content-Length: 100000\r\n\r\n{";

} // namespace

TEST_CASE("clients that never end their requests leave threads to others") {
    const TestServer server({.connections_max = 8, .read_timeout_s = never_s, .request_timeout_s = never_s});
    std::vector<std::unique_ptr<Beginner>> beginners;
    for (int i = 0; i < 24; ++i) {
        beginners.push_back(
            std::make_unique<Beginner>(server.server->port(), i % 2 == 0 ? begun_head : begun_body));
    }
    for (int i = 0; i < 8; ++i) {
        httplib::Client client("127.0.0.1", server.server->port());
        client.set_read_timeout(30);
        const auto result = client.Get("/health");
        REQUIRE(result);
        CHECK(result->status == 200);
        const auto tokens = client.Post("/tokenize", R"({"content":"a"})", "application/json");
        REQUIRE(tokens);
        CHECK(tokens->status == 200);
    }
}

TEST_CASE("a request that drips has a time, in which a whole one of any length fits") {
    const TestServer server({.read_timeout_s = never_s, .request_timeout_s = 0.3});
    for (const std::string& begun : {begun_head, begun_body}) {
        CAPTURE(begun);
        const Beginner dripping(server.server->port(), begun);
        CHECK(TestServer::eventually([&] {
            dripping.say("x");
            return dripping.is_ended();
        }));
    }
    const std::string text(1'000'000, 'x');
    CHECK(server.ask("/tokenize", json{{"content", text}})["tokens"].size() == text.size());
}

TEST_CASE("requests that come at once over one connection are answered one by one") {
    const TestServer server;
    const std::string request = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    const std::string answers =
        test::exchange_raw(server.server->port(), request + "\r\n" + request + "Connection: close\r\n\r\n");
    const size_t first = answers.find("HTTP/1.1 200");
    REQUIRE(first == 0);
    CHECK(answers.find("HTTP/1.1 200", first + 1) != std::string::npos);
}

} // namespace pie
