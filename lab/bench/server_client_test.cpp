#include "bench/server_client.h"

#include <doctest/doctest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace pie {
namespace {

const std::string last_event =
    R"(data: {"content":"","stop":true,"timings":{"prompt_n":3,"cache_n":40,"predicted_n":7,"prompt_ms":12.5}})"
    "\n\n";

// A server that answers /completion with fixed events, and a pause before them.
class FakeServer {
  public:
    explicit FakeServer(std::vector<std::string> events, std::string slots = "[]") {
        server_.Get("/health", [](const httplib::Request&, httplib::Response&) {});
        server_.Get("/slots",
                    [slots = std::move(slots)](const httplib::Request&, httplib::Response& response) {
                        response.set_content(slots, "application/json");
                    });
        server_.Post("/completion",
                     [events = std::move(events)](const httplib::Request&, httplib::Response& response) {
                         response.set_chunked_content_provider(
                             "text/event-stream", [events](size_t, httplib::DataSink& sink) {
                                 for (const std::string& event : events) {
                                     std::this_thread::sleep_for(std::chrono::milliseconds(5));
                                     sink.write(event.data(), event.size());
                                 }
                                 sink.done();
                                 return true;
                             });
                     });
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        server_.wait_until_ready();
    }
    ~FakeServer() {
        server_.stop();
        thread_.join();
    }
    ServerClient client() const { return {"fake", port_}; }

  private:
    httplib::Server server_;
    std::thread thread_;
    int port_ = 0;
};

} // namespace

TEST_CASE("events are put together from pieces of any size") {
    const std::string stream =
        "data: {\"content\":\"a\",\"stop\":false}\n\ndata: {\"content\":\"b\\n\\nc\",\"stop\":false}\n\n" +
        last_event + "data: [DONE]\n\n";
    for (size_t n = 1; n <= stream.size(); ++n) {
        EventReader reader;
        for (size_t at = 0; at < stream.size(); at += n) {
            REQUIRE(reader.read(std::string_view(stream).substr(at, n)));
        }
        CHECK(reader.is_complete());
        CHECK(reader.answer().text == "ab\n\nc");
        CHECK(reader.answer().tokens_encoded == 3);
        CHECK(reader.answer().tokens_kept == 40);
        CHECK(reader.answer().tokens_context == 43);
        CHECK(reader.answer().tokens_written == 7);
        CHECK(reader.answer().prompt_ms == 12.5);
        CHECK_FALSE(reader.answer().exact);
    }
}

TEST_CASE("what our server says of its cache") {
    EventReader reader;
    REQUIRE(reader.read(
        R"(data: {"content":"x","stop":true,"timings":{"prompt_n":3,"cache_n":40,"predicted_n":7,"prompt_ms":1},"reuse":{"tokens_context":44,"tokens_ahead":1,"exact":true}})"
        "\n\n"));
    CHECK(reader.answer().tokens_context == 44);
    CHECK(reader.answer().tokens_encoded == 4); // with the one before the cursor
    CHECK(reader.answer().exact);
}

TEST_CASE("errors of servers, and what is no event") {
    for (const char* data : {"data: {\"error\":{\"message\":\"no slot\"}}\n\n", "data: nonsense\n\n",
                             "data: {\"content\":\"\",\"stop\":true}\n\n"}) {
        CAPTURE(data);
        CHECK_FALSE(EventReader().read(data));
    }
}

TEST_CASE("times end with the first text, and with the last event") {
    const FakeServer server({"data: {\"content\":\"\",\"stop\":false}\n\n",
                             "data: {\"content\":\"a\",\"stop\":false}\n\n", last_event});
    const auto answer = server.client().ask("/completion", "{}");
    REQUIRE(answer);
    CHECK(answer->text == "a");
    CHECK(answer->first_ms >= 10);
    CHECK(answer->total_ms > answer->first_ms);
}

TEST_CASE("an answer without text counts to its end") {
    const FakeServer server({last_event});
    const auto answer = server.client().ask("/completion", "{}");
    REQUIRE(answer);
    CHECK(answer->first_ms == answer->total_ms);
}

TEST_CASE("failures name the server") {
    const FakeServer cut({"data: {\"content\":\"a\",\"stop\":false}\n\n"});
    for (const char* path : {"/completion", "/nowhere"}) {
        const auto answer = cut.client().ask(path, "{}");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().message.find("fake") != std::string::npos);
    }
    const ServerClient nobody("gone", 1);
    CHECK_FALSE(nobody.is_ready());
    CHECK_FALSE(nobody.is_healing());
    CHECK_FALSE(nobody.ask("/completion", "{}"));
}

TEST_CASE("whether a server heals") {
    CHECK(FakeServer({}).client().is_ready());
    CHECK_FALSE(FakeServer({}, R"([{"id":0}])").client().is_healing());
    CHECK_FALSE(FakeServer({}, R"([{"tokens_cached":5,"tokens_exact":5}])").client().is_healing());
    CHECK(FakeServer({}, R"([{"tokens_cached":5,"tokens_exact":5},{"tokens_cached":9,"tokens_exact":5}])")
              .client()
              .is_healing());
}

} // namespace pie
