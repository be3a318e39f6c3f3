// What clients can make the server hold, and what it says where that is too much.

#include "server/test_server.h"

#include <string>

namespace pie {
namespace {

using nlohmann::json;
using test::error_of;
using test::TestServer;

std::string repeated(const std::string& text, size_t n) {
    std::string all;
    for (size_t i = 0; i < n; ++i) {
        all += text;
    }
    return all;
}

httplib::Response put(const TestServer& server, const std::string& id, const json& body) {
    return *server.client->Put("/v1/documents/" + id, body.dump(), "application/json");
}

bool is_kept(const TestServer& server, const std::string& id) {
    return server.get("/v1/documents/" + id + "/cache").status == 200;
}

std::string announced(size_t n_bytes) {
    return "POST /completion HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(n_bytes) +
           "\r\n\r\n";
}

} // namespace

TEST_CASE("a body of more values than a request needs is refused before it is parsed") {
    const TestServer server;
    for (const std::string& value : {std::string("1"), std::string("{}"), std::string("[]"),
                                     std::string("\"\""), std::string("{\"a\":1}")}) {
        CAPTURE(value);
        std::string next = ",";
        next += value;
        const std::string many = value + repeated(next, 300'000);
        for (const char* path : {"/completion", "/infill", "/tokenize", "/v1/chat/completions"}) {
            const auto refused = server.post(path, R"({"prompt":"a","unknown":[)" + many + "]}");
            const json error = error_of(refused);
            CHECK(refused.status == 413);
            CHECK(error["type"] == "invalid_request_error");
            CHECK(error["message"].get<std::string>().find("300000") != std::string::npos);
        }
    }
    // What stands within a text is no value.
    CHECK(server.post("/tokenize", R"({"content":")" + repeated("[,", 200'000) + "\"}").status == 200);
}

TEST_CASE("large bodies beyond what is taken at one time are refused unread, and small ones served") {
    const TestServer server({.bodies_bytes_max = 3'000'000});
    std::promise<void> over;
    auto is_over = over.get_future().share();
    std::thread first([&] {
        httplib::Client client("127.0.0.1", server.server->port());
        const auto send = [&](size_t offset, size_t, httplib::DataSink& sink) {
            if (offset > 0) {
                is_over.wait();
            }
            const std::string part(offset == 0 ? 1 : 1'999'999, ' ');
            return sink.write(part.data(), part.size());
        };
        int status = 503; // where the other one came first
        while (status == 503) {
            const auto answer = client.Post("/completion", 2'000'000, send, "application/json");
            status = answer ? answer->status : 503;
        }
        CHECK(status == 400); // blanks are no JSON
    });
    const bool is_refused = TestServer::eventually([&] {
        const std::string answer = test::exchange_raw(server.server->port(), announced(1'500'000),
                                                      test::AfterSending::close_own_half);
        return answer.starts_with("HTTP/1.1 503") && answer.find("Retry-After: 1") != std::string::npos &&
               answer.find("3000000 bytes") != std::string::npos;
    });
    CHECK(is_refused);
    CHECK(server.get("/health").status == 200);
    CHECK(server.post("/completion", R"({"prompt":"a = ","n_predict":2})").status == 200);
    over.set_value();
    first.join();
    // What it took is free again.
    CHECK(TestServer::eventually(
        [&] { return server.post("/completion", std::string(2'500'000, ' ')).status == 400; }));
}

TEST_CASE("a body beyond the limit is told the limit, whatever its type; up to it every type is read") {
    const TestServer server({.body_bytes_max = 100'000});
    const std::string body = json{{"content", std::string(50'000, 'x')}}.dump();
    for (const char* type : {"", "application/x-www-form-urlencoded", "text/plain", "application/json"}) {
        CAPTURE(type);
        CHECK(server.client->Post("/tokenize", body, type)->status == 200);
        const auto large = server.client->Post("/tokenize", std::string(200'000, ' '), type);
        REQUIRE(large);
        const json error = error_of(*large);
        CHECK(error["code"] == 413);
        CHECK(error["type"] == "invalid_request_error");
        CHECK(error["message"].get<std::string>().find("100000 bytes") != std::string::npos);
    }
    const auto gzip = server.client->Post("/tokenize", httplib::Headers{{"Content-Encoding", "gzip"}}, "{}",
                                          "application/json");
    CHECK(error_of(*gzip)["message"].get<std::string>().find("gzip") != std::string::npos);
    CHECK(gzip->status == 415);
    const auto form = server.client->Post("/tokenize", "--x--", "multipart/form-data; boundary=x");
    CHECK(error_of(*form)["message"].get<std::string>().find("multipart") != std::string::npos);
    CHECK(form->status == 415);
}

TEST_CASE("a document that is refused is not kept, and pushes out no other") {
    const TestServer server({.documents_max = 2});
    CHECK(put(server, "a", {{"text", "a = 1\n"}}).status == 200);
    CHECK(put(server, "b", {{"text", "b = 1\n"}}).status == 200);
    for (int i = 0; i < 4; ++i) {
        const std::string id = "refused" + std::to_string(i);
        CHECK(put(server, id, {{"text", "é"}, {"cursor", 1}}).status == 400);
        CHECK(put(server, id, {{"text", std::string("a\0b", 3)}}).status == 400);
        CHECK_FALSE(is_kept(server, id));
    }
    CHECK(is_kept(server, "a"));
    CHECK(is_kept(server, "b"));
    // One that is there stays as it was.
    CHECK(put(server, "a", {{"text", "é"}, {"cursor", 1}, {"version", 9}}).status == 400);
    CHECK(json::parse(server.get("/v1/documents/a/cache").body)["version"] == 1);
    CHECK(server.metrics().find("pie_documents 2\n") != std::string::npos);
}

TEST_CASE("the texts of documents are counted, with their contexts and edits") {
    const TestServer server({.body_bytes_max = 20'000, .documents_bytes_max = 25'000});
    const std::string large(10'000, 'x');
    CHECK(put(server, "a", {{"text", large}}).status == 200);
    CHECK(put(server, "b", {{"text", "x"}, {"context", {{{"filename", "f"}, {"text", large}}}}}).status ==
          200);
    CHECK(is_kept(server, "a"));
    CHECK(is_kept(server, "b"));
    CHECK(put(server, "c", {{"text", large}}).status == 200);
    CHECK_FALSE(is_kept(server, "a")); // the one that was not used for longest
    CHECK(is_kept(server, "b"));
    const auto grow = [&](int version, const std::string& text) {
        const json body = {{"version", version}, {"edits", {{{"begin", 0}, {"end", 0}, {"text", text}}}}};
        return *server.client->Patch("/v1/documents/c", body.dump(), "application/json");
    };
    CHECK(grow(2, std::string(9000, 'y')).status == 200);
    CHECK_FALSE(is_kept(server, "b"));
    const auto refused = grow(3, std::string(9000, 'y'));
    CHECK(refused.status == 413);
    CHECK(error_of(refused)["message"].get<std::string>().find("20000") != std::string::npos);
    CHECK(json::parse(server.get("/v1/documents/c/cache").body)["version"] == 2);
    // What goes is counted, too.
    CHECK(put(server, "c", {{"text", "x"}}).status == 200);
    CHECK(put(server, "d", {{"text", large}}).status == 200);
    CHECK(put(server, "e", {{"text", large}}).status == 200);
    CHECK(is_kept(server, "c"));
}

TEST_CASE("what was asked for and fits is written, and the number is told") {
    const TestServer server({}, {.n_ctx = 256, .n_predict_max = 100});
    const auto prompt = [](int n) { return json(std::vector<int>(static_cast<size_t>(n), 65)); };
    const auto ask = [&](int n_prompt, int n_predict) {
        return server.post(
            "/completion",
            json{{"prompt", prompt(n_prompt)}, {"n_predict", n_predict}, {"temperature", 0}}.dump());
    };
    const auto told = [](const httplib::Response& response) {
        REQUIRE(response.status == 200);
        return json::parse(response.body)["generation_settings"]["n_predict"].get<int>();
    };
    CHECK(told(ask(250, 1)) == 1);
    CHECK(told(ask(250, -1)) == 6);
    CHECK(told(ask(10, -1)) == 100);
    CHECK(told(ask(10, 200)) == 200); // more than is reserved, and there is room
    CHECK(told(ask(150, 200)) == 106);
    CHECK(json::parse(ask(250, -1).body)["tokens_predicted"].get<int>() <= 6);
    for (const auto& [n_prompt, n_predict] : {std::pair(256, 1), std::pair(157, 100), std::pair(300, -1)}) {
        const json error = error_of(ask(n_prompt, n_predict));
        CHECK(error["code"] == 400);
        CHECK(error["type"] == "exceed_context_size_error");
        CHECK(error["n_prompt_tokens"] == n_prompt);
        CHECK(error["n_ctx"] == 256);
    }
    const auto message = error_of(ask(256, 3))["message"].get<std::string>();
    CHECK(message.find("256 tokens, and 3 are") != std::string::npos);
}

} // namespace pie
