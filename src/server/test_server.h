#pragma once

// For tests: a server on a loopback port with a tiny model that knows the markers, and a client of it. The
// test's thread.

#include "base/test_fixtures.h"
#include "prompt/test_repository_model.h"
#include "server/server.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace pie::test {

// A function with the cursor in it.
inline const std::string prefix = "import sys\n\ndef total(items):\n    result = 0\n    for item in ";
inline const std::string suffix = "\n    return result\n";

inline nlohmann::json greedy(nlohmann::json fields = nlohmann::json::object()) {
    fields["temperature"] = 0;
    fields["n_predict"] = fields.value("n_predict", 12);
    return fields;
}

inline nlohmann::json error_of(const httplib::Response& response) {
    CAPTURE(response.body);
    CHECK(response.get_header_value("Content-Type").starts_with("application/json"));
    nlohmann::json error = nlohmann::json::parse(response.body).at("error");
    CHECK(error.at("code") == response.status);
    CHECK_FALSE(error.at("message").get<std::string>().empty());
    CHECK(error.at("type").is_string());
    return error;
}

// Makes a tiny model one that cannot fill in the middle.
inline void rename_fill_markers(gguf_context* gguf) {
    testing::rename_tokens(
        gguf, {{"<fim_prefix>", "<plain_1>"}, {"<fim_suffix>", "<plain_2>"}, {"<fim_middle>", "<plain_3>"}});
}

// Sends bytes as they are, and returns what comes back until the server closes the connection.
enum class AfterSending { wait, close_own_half };
inline std::string exchange_raw(int port, const std::string& bytes, AfterSending after = AfterSending::wait) {
    const int connection = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connection >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    (void)send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (after == AfterSending::close_own_half) {
        shutdown(connection, SHUT_WR);
    }
    std::string answer;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
        answer.append(buffer.data(), static_cast<size_t>(n));
    }
    close(connection);
    return answer;
}

struct TestServer {
    ScratchFolder scratch;
    std::optional<Model> model; // the server's own, for what goes past it
    std::unique_ptr<Server> server;
    std::unique_ptr<httplib::Client> client;

    explicit TestServer(ServerOptions options = {}, ModelOptions model_options = {},
                        const testing::TinyModel& description = repository_model()) {
        spdlog::set_level(spdlog::level::off);
        const auto file = scratch.path / "tiny.gguf";
        testing::write_tiny_model(description, file);
        model_options.n_threads = 1;
        if (model_options.n_ctx == 0) {
            model_options.n_ctx = 1024;
        }
        options.n_predict_max = model_options.n_predict_max;
        options.port = 0;
        options.model_name = "tiny";
        model = Model::load(file, model_options).value();
        auto started = Server::start(*model, options);
        REQUIRE(started);
        server = *std::move(started);
        client = std::make_unique<httplib::Client>("127.0.0.1", server->port());
        client->set_read_timeout(120); // machines that build beside the tests are slow
    }

    httplib::Response post(const std::string& path, std::string_view body) const {
        auto result = client->Post(path, std::string(body), "application/json");
        CAPTURE(path);
        CAPTURE(httplib::to_string(result.error()));
        REQUIRE(result);
        return *result;
    }
    httplib::Response get(const std::string& path) const {
        auto result = client->Get(path);
        CAPTURE(path);
        CAPTURE(httplib::to_string(result.error()));
        REQUIRE(result);
        return *result;
    }
    // The answer to a request that must succeed.
    nlohmann::json ask(const std::string& path, std::string_view body) const {
        const auto response = post(path, body);
        CAPTURE(response.body);
        REQUIRE(response.status == 200);
        return nlohmann::json::parse(response.body);
    }
    nlohmann::json ask(const std::string& path, const nlohmann::json& body) const {
        return ask(path, std::string_view(body.dump()));
    }
    // The data of a stream's events.
    std::vector<std::string> events(const std::string& path, const nlohmann::json& body) const {
        const auto response = post(path, body.dump());
        CHECK(response.status == 200);
        CHECK(response.get_header_value("Content-Type") == "text/event-stream");
        std::vector<std::string> found;
        size_t begin = 0;
        while (begin < response.body.size()) {
            const size_t end = response.body.find("\n\n", begin);
            REQUIRE(end != std::string::npos);
            const std::string event = response.body.substr(begin, end - begin);
            REQUIRE(event.starts_with("data: "));
            found.push_back(event.substr(6));
            begin = end + 2;
        }
        return found;
    }
    std::string metrics() const { return get("/metrics").body; }

    // Within some seconds, which only a failing test waits for.
    static bool eventually(const std::function<bool()>& is_so) {
        for (int i = 0; i < 6000; ++i) {
            if (is_so()) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
};

// Keeps the model at work for as long as it lives, so that what the server is asked has to wait.
class Occupation {
  public:
    explicit Occupation(const Model& model) : session_(model.open()) {
        const std::string text = "total += item0\ntotal += item1\ntotal += item2\ntotal += item3\n";
        REQUIRE(session_.set_text(text, ByteOffset(40)));
        std::promise<void> begun;
        auto has_begun = begun.get_future();
        thread_ = std::thread([this, begun = std::move(begun)]() mutable {
            bool is_first = true;
            const auto receive = [&](std::string_view) {
                if (is_first) {
                    begun.set_value();
                    over_.get_future().wait();
                }
                is_first = false;
                return StreamControl::stop;
            };
            (void)session_.complete({.n_predict = 64, .draft_max = 0}, receive);
        });
        REQUIRE(has_begun.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    }
    ~Occupation() {
        over_.set_value();
        thread_.join();
    }
    Occupation(const Occupation&) = delete;
    Occupation& operator=(const Occupation&) = delete;

  private:
    Session session_;
    std::promise<void> over_;
    std::thread thread_;
};

} // namespace pie::test
