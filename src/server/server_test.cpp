// Every endpoint over a loopback connection, on a tiny model.

#include "server/exchange.h"
#include "server/test_server.h"

#include <utf8.h>

#include <algorithm>

namespace pie {
namespace {

using nlohmann::json;
using test::error_of;
using test::greedy;
using test::Occupation;
using test::prefix;
using test::suffix;
using test::TestServer;

json infill_of(const std::string& before, const std::string& behind) {
    return greedy({{"input_prefix", before}, {"input_suffix", behind}});
}

// What a session of its own writes, past the server.
std::string written_by_library(const TestServer& server, const std::string& before,
                               const std::string& behind) {
    Session session = server.model->open();
    REQUIRE(session.set_text(before + behind, ByteOffset(before.size())));
    return session.complete({.n_predict = 12}).value().text;
}

std::string second_character(const std::string& text) {
    auto begin = text.begin();
    utf8::next(begin, text.end());
    auto end = begin;
    utf8::next(end, text.end());
    return {begin, end};
}

} // namespace

TEST_CASE("health, properties, models") {
    const TestServer server;
    CHECK(server.get("/health").body == R"({"status":"ok"})");
    CHECK(server.get("/v1/health").status == 200);
    const json props = json::parse(server.get("/props").body);
    CHECK(props["default_generation_settings"]["n_ctx"] == 1024);
    CHECK(props["total_slots"] == 64);
    const json models = json::parse(server.get("/v1/models").body);
    CHECK(models["data"][0]["id"] == "tiny");
    CHECK(json::parse(server.get("/v1/models/tiny").body) == models["data"][0]);
    CHECK(error_of(server.get("/v1/models/other"))["code"] == 404);
    for (const char* path : {"/props", "/v1/models", "/slots", "/metrics"}) {
        CHECK(server.get(path).body.find(server.scratch.path.string()) == std::string::npos);
    }
}

TEST_CASE("a completion over HTTP is the library's") {
    const TestServer server;
    const std::string expected = written_by_library(server, prefix, suffix);
    CHECK(server.ask("/infill", infill_of(prefix, suffix))["content"] == expected);
    // The line up to the cursor in a field of its own, as llama.vim sends it.
    json split = infill_of(prefix.substr(0, prefix.rfind('\n') + 1), suffix);
    split["prompt"] = prefix.substr(prefix.rfind('\n') + 1);
    CHECK(server.ask("/infill", split)["content"] == expected);
    const json openai =
        server.ask("/v1/completions",
                   json{{"prompt", prefix}, {"suffix", suffix}, {"max_tokens", 12}, {"temperature", 0}});
    CHECK(openai["choices"][0]["text"] == expected);
    CHECK(openai["object"] == "text_completion");
    CHECK(openai["usage"]["completion_tokens"].get<int>() <= 12);
}

TEST_CASE("a prompt as text, as tokens and mixed is the same") {
    const TestServer server;
    const json tokens = server.ask("/tokenize", json{{"content", prefix}})["tokens"];
    REQUIRE(tokens.size() > 4);
    const json as_text = server.ask(
        "/completion", greedy({{"prompt", prefix}, {"token_healing", false}, {"return_tokens", true}}));
    const json as_tokens = server.ask("/completions", greedy({{"prompt", tokens}}));
    CHECK(as_text["content"] == as_tokens["content"]);
    CHECK(as_text["tokens"].size() == as_text["tokens_predicted"]);
    CHECK(as_tokens["tokens"].empty());
    CHECK(as_text["tokens_evaluated"] == tokens.size());
    const json openai =
        server.ask("/v1/completions", greedy({{"prompt", json::array({prefix})}, {"token_healing", false}}));
    CHECK(openai["choices"][0]["text"] == as_text["content"]);
    CHECK(server.ask("/completion", greedy({{"prompt", prefix}, {"n_predict", 0}}))["content"] == "");
    json mixed = json::array({tokens[0]});
    mixed.push_back(
        server.ask("/detokenize", json{{"tokens", json(tokens.begin() + 1, tokens.end())}})["content"]);
    CHECK(server.ask("/completion", greedy({{"prompt", mixed}}))["content"] == as_text["content"]);
}

TEST_CASE("tokens there and back, with their pieces") {
    const TestServer server;
    const std::string text = "naïve = \"漢字\"\n";
    const json tokens = server.ask("/tokenize", json{{"content", text}})["tokens"];
    CHECK(server.ask("/detokenize", json{{"tokens", tokens}})["content"] == text);
    std::string together;
    const json pieces = server.ask("/tokenize", json{{"content", text}, {"with_pieces", true}});
    for (const json& entry : pieces["tokens"]) {
        if (entry["piece"].is_string()) {
            together += entry["piece"].get<std::string>();
            continue;
        }
        for (const json& byte : entry["piece"]) {
            together += static_cast<char>(byte.get<int>());
        }
    }
    CHECK(together == text);
    const std::string marked = "<fim_prefix>";
    CHECK(server.ask("/tokenize", json{{"content", marked}})["tokens"].size() == 1);
    CHECK(server.ask("/tokenize", json{{"content", marked}, {"parse_special", false}})["tokens"].size() > 1);
    CHECK(error_of(server.post("/detokenize", R"({"tokens":[100000]})"))["code"] == 400);
}

TEST_CASE("what is streamed is what is answered whole") {
    const TestServer server;
    json body = infill_of(prefix, suffix);
    const json whole = server.ask("/infill", body);
    body["stream"] = true;
    std::string text;
    const auto events = server.events("/infill", body);
    REQUIRE(events.size() >= 2);
    for (size_t i = 0; i + 1 < events.size(); ++i) {
        const json event = json::parse(events[i]);
        CHECK(event["stop"] == false);
        text += event["content"].get<std::string>();
    }
    const json last = json::parse(events.back());
    CHECK(last["stop"] == true);
    CHECK(last["content"] == "");
    CHECK(last["tokens_predicted"] == whole["tokens_predicted"]);
    CHECK(text == whole["content"]);

    const auto openai = server.events("/v1/completions", greedy({{"prompt", prefix}, {"stream", true}}));
    REQUIRE(openai.size() >= 3);
    CHECK(openai.back() == "[DONE]");
    CHECK(json::parse(openai[0])["choices"][0]["finish_reason"].is_null());
    CHECK(json::parse(openai[openai.size() - 2])["choices"][0]["finish_reason"].is_string());
    CHECK(json::parse(openai[openai.size() - 2])["usage"]["prompt_tokens"].get<int>() > 0);
    // What is wrong before the first text has a status of its own.
    CHECK(error_of(server.post("/completion", R"({"prompt":[100000],"stream":true})"))["code"] == 400);
}

TEST_CASE("stop strings, probabilities and selected fields") {
    const TestServer server;
    const json whole = server.ask("/completion", greedy({{"prompt", prefix}}));
    const std::string text = whole["content"];
    const std::string word = second_character(text);
    const json cut = server.ask("/completion", greedy({{"prompt", prefix}, {"stop", {"\x01", word}}}));
    CHECK(cut["content"] == text.substr(0, text.find(word)));
    CHECK(cut["stop_type"] == "word");
    CHECK(cut["stopping_word"] == word);
    const json likely =
        server.ask("/completion", greedy({{"prompt", prefix}, {"token_healing", false}, {"n_probs", 3}}));
    REQUIRE(likely["completion_probabilities"].size() == likely["tokens_predicted"]);
    const json& place = likely["completion_probabilities"][0];
    CHECK(place["top_logprobs"].size() == 3);
    CHECK(place["id"] == place["top_logprobs"][0]["id"]);
    CHECK(place["logprob"].get<double>() <= 0);
    const json chosen = server.ask(
        "/completion", greedy({{"prompt", prefix},
                               {"response_fields", {"content", "generation_settings/n_predict", "none/x"}}}));
    CHECK(chosen == json{{"content", text}, {"generation_settings/n_predict", 12}});
}

TEST_CASE("errors are JSON with a status, whatever was wrong") {
    const TestServer server({.body_bytes_max = 100'000});
    for (const char* path :
         {"/infill", "/completion", "/completions", "/v1/completions", "/v1/chat/completions",
          "/apply-template", "/tokenize", "/detokenize", "/v1/documents/a/complete"}) {
        CAPTURE(path);
        for (const char* body : {"", "{", "[]", "nonsense", "\xff\xfe"}) {
            CHECK(error_of(server.post(path, body))["code"] == 400);
        }
    }
    CHECK(error_of(server.get("/nothing"))["type"] == "not_found_error");
    for (const char* path : {"/infill", "/v1/chat/completions", "/v1/documents/a/complete", "/slots/0"}) {
        CAPTURE(path);
        const auto refused = server.get(path);
        CHECK(error_of(refused)["code"] == 405);
        CHECK(refused.get_header_value("Allow").find("POST") != std::string::npos);
    }
    CHECK(error_of(server.post("/health", "{}"))["message"] == "this endpoint takes GET, not POST");
    CHECK(error_of(server.client->Put("/slots", "{}", "application/json").value())["code"] == 405);
    CHECK(error_of(server.get("/v1/document"))["code"] == 404);
    CHECK(error_of(server.post("/infill", ""))["message"] == "the body is empty; send a JSON object");
    CHECK(error_of(server.post("/infill", std::string(200'000, ' ')))["code"] == 413);
    const auto too_long = server.post("/completion", json{{"prompt", std::string(20'000, 'x')}}.dump());
    CHECK(error_of(too_long)["type"] == "exceed_context_size_error");
    CHECK(error_of(server.post("/infill",
                               R"({"input_prefix":"","input_suffix":"","grammar":"x"})"))["code"] == 501);
    CHECK(server.get("/health").status == 200);
}

TEST_CASE("a text larger than the context is cut to what fits") {
    const TestServer server;
    std::string lines;
    for (int i = 0; i < 400; ++i) {
        lines += "value_" + std::to_string(i) + " = 1\n";
    }
    const json answer = server.ask("/infill", infill_of(lines, lines));
    CHECK(answer["reuse"]["tokens_context"].get<int>() <= 1024);
    CHECK(answer["truncated"] == false);
}

TEST_CASE("a client that goes away cancels its request, before its turn and in the middle") {
    const TestServer server({}, {.n_ctx = 2048, .n_predict_max = 1500});
    const auto n_gone = [&](const std::string& path) {
        return server.metrics().find("endpoint=\"" + path + "\",status=\"499\"} 1") != std::string::npos;
    };
    {
        const Occupation occupation(*server.model);
        httplib::Client impatient("127.0.0.1", server.server->port());
        impatient.set_read_timeout(0, 100'000);
        CHECK_FALSE(impatient.Post("/infill", infill_of(prefix, suffix).dump(), "application/json"));
        CHECK(TestServer::eventually([&] { return n_gone("/infill"); }));
    }
    // One that the model ends early, or that is over before its client is gone, shows nothing.
    bool was_cut = false;
    for (int seed = 0; seed < 20 && !was_cut; ++seed) {
        const json body = {{"prompt", prefix}, {"n_predict", 1500}, {"seed", seed}, {"stream", true}};
        httplib::Client client("127.0.0.1", server.server->port());
        CHECK_FALSE(client.Post("/completion", {}, body.dump(), "application/json",
                                [](const char*, size_t) { return false; }));
        CHECK(TestServer::eventually([&] {
            const json slots = json::parse(server.get("/slots").body);
            return std::ranges::none_of(slots,
                                        [](const json& slot) { return slot["is_processing"] == true; });
        }));
        was_cut = server.metrics().find("endpoint=\"/completion\",status=\"499\"}") != std::string::npos;
    }
    CHECK(was_cut);
}

TEST_CASE("a stream whose client goes away before the next token ends as that, not as a conflict") {
    const TestServer server;
    ServerState state(*server.model, {});
    httplib::Request request;
    request.is_connection_closed = [] { return true; };
    httplib::Response response;
    Exchange exchange{state, request, response, std::make_shared<Trace>(state)};
    GenerationRequest streamed;
    streamed.stream = true;
    exchange.answer_with({.model = *server.model, .request = streamed, .model_name = "tiny", .id = "1"},
                         [](const SeveralReceiver& receive, const std::stop_source& stop) {
                             receive(0, {.text = "a"});
                             while (!stop.stop_requested()) {
                                 std::this_thread::yield();
                             }
                             return Result<Generated>(fail(ErrorCode::cancelled, "cancelled"));
                         });
    REQUIRE(response.status == 200);
    httplib::DataSink sink;
    sink.write = [](const char*, size_t) { return true; };
    sink.done = [] {};
    CHECK(response.content_provider_(0, 0, sink));
    CHECK(exchange.trace->served.status == 499);
}

TEST_CASE("requests for one session take turns, and too many are refused") {
    const TestServer server({.requests_max = 2});
    const auto later = [&](const json& body) {
        return std::async(std::launch::async, [&server, text = body.dump()] {
            httplib::Client client("127.0.0.1", server.server->port());
            client.set_read_timeout(120);
            return *client.Post("/infill", text, "application/json");
        });
    };
    const auto n_waiting = [&] {
        size_t n = 0;
        for (const json& slot : json::parse(server.get("/slots").body)) {
            n += slot["requests_waiting"].get<size_t>();
        }
        return n;
    };
    std::future<httplib::Response> first;
    std::future<httplib::Response> same;
    {
        const Occupation occupation(*server.model);
        first = later(infill_of(prefix, suffix));
        REQUIRE(TestServer::eventually([&] { return n_waiting() == 1; }));
        same = later(infill_of(prefix, suffix));
        REQUIRE(TestServer::eventually([&] { return n_waiting() == 2; }));
        const auto refused = server.post("/infill", infill_of("x", "y").dump());
        CHECK(error_of(refused)["code"] == 429);
        CHECK(refused.get_header_value("Retry-After") == "1");
        CHECK(server.get("/health").status == 200);
    }
    const auto first_answer = first.get();
    CHECK(first_answer.status == 200);
    CHECK(json::parse(same.get().body)["content"] == json::parse(first_answer.body)["content"]);
}

TEST_CASE("a live document: edits by ranges, versions, completions") {
    const TestServer server;
    const std::string path = "/v1/documents/src/main%20file.py";
    const auto put = [&](const json& body) {
        return *server.client->Put(path, body.dump(), "application/json");
    };
    const auto patch = [&](const json& body) {
        return *server.client->Patch(path, body.dump(), "application/json");
    };
    CHECK(error_of(patch({{"version", 2}, {"cursor", 0}}))["code"] == 404);
    CHECK(error_of(patch({{"version", 2}}))["code"] == 404);
    CHECK(json::parse(server.get("/v1/documents").body)["documents"].empty());
    CHECK(error_of(server.post(path + "/complete", "{}"))["code"] == 404);
    const std::string text = prefix + suffix;
    CHECK(put({{"text", text}, {"cursor", prefix.size()}}).body == R"({"version":1})");
    CHECK(
        json::parse(server.get("/v1/documents").body)["documents"] ==
        json::array({{{"id", "src/main file.py"}, {"bytes", text.size() + std::string("filename").size()}}}));
    const json edit = {{"begin", prefix.size()}, {"end", prefix.size()}, {"text", "items"}};
    CHECK(patch({{"version", 2}, {"edits", {edit}}}).body == R"({"version":2})");
    const auto gap = patch({{"version", 4}, {"edits", {edit}}});
    CHECK(gap.status == 409);
    CHECK(gap.get_header_value("X-Should-Retry") == "false");
    CHECK(json::parse(gap.body)["version"] == 2);
    const json outside = {{"begin", 5000}, {"end", 5001}, {"text", ""}};
    CHECK(error_of(patch({{"version", 3}, {"edits", {edit, outside}}}))["code"] == 400);

    const json answer = server.ask(path + "/complete", greedy({{"version", 2}}));
    CHECK(answer["content"] == written_by_library(server, prefix + "items", suffix));
    std::string streamed;
    for (const std::string& event : server.events(path + "/complete", greedy({{"stream", true}}))) {
        streamed += json::parse(event)["content"].get<std::string>();
    }
    CHECK(streamed == answer["content"]);
    CHECK(server.ask(path + "/complete", greedy({{"cursor", 12}}))["content"] ==
          written_by_library(server, text.substr(0, 12), prefix.substr(12) + "items" + suffix));
    CHECK(error_of(server.post(path + "/complete", R"({"cursor":5000})"))["code"] == 400);
    CHECK(json::parse(server.post(path + "/complete", R"({"version":1})").body)["version"] == 2);

    CHECK(TestServer::eventually([&] {
        const json cache = json::parse(server.get(path + "/cache").body);
        return cache["version"] == 2 && cache["up_to_date"] == true && cache["tokens_stale"] == 0 &&
               cache["tokens"].get<int>() > 10 && cache["tokens_bit_exact"] == cache["tokens"] &&
               cache["state"] == "healed";
    }));
    CHECK(server.client->Delete(path)->status == 200);
    CHECK(server.client->Delete(path)->status == 404);
    CHECK(server.get(path + "/cache").status == 404);
    CHECK(put({{"text", "x"}, {"version", 9}}).body == R"({"version":9})");
}

TEST_CASE("the document that was not used for longest gives way") {
    const TestServer server({.documents_max = 2});
    for (const char* id : {"a", "b", "c"}) {
        const std::string path = std::string("/v1/documents/") + id;
        CHECK(server.client->Put(path, R"({"text":"x = 1\n"})", "application/json")->status == 200);
    }
    CHECK(server.get("/v1/documents/a/cache").status == 404);
    CHECK(server.get("/v1/documents/b/cache").status == 200);
    CHECK(server.get("/v1/documents/c/cache").status == 200);
}

TEST_CASE("slots can be erased, and encode anew") {
    const TestServer server;
    const json body = infill_of(prefix, suffix);
    const json before = server.ask("/infill", body);
    const json erased = server.ask("/slots/0?action=erase", std::string_view());
    CHECK(erased["id_slot"] == 0);
    CHECK(erased["n_erased"] == before["tokens_cached"]);
    const json again = server.ask("/infill", body);
    CHECK(again["content"] == before["content"]);
    CHECK(again["reuse"]["tokens_encoded"] == again["reuse"]["tokens_context"]);
    CHECK(error_of(server.post("/slots/7?action=erase", ""))["code"] == 404);
    CHECK(error_of(server.post("/slots/x?action=erase", ""))["code"] == 400);
}

TEST_CASE("metrics count what was served") {
    const TestServer server;
    const json answer = server.ask("/infill", infill_of(prefix, suffix));
    CHECK(server.post("/infill", "{").status == 400);
    const std::string encoded =
        "pie_tokens_encoded_total " + std::to_string(answer["reuse"]["tokens_encoded"].get<int>()) + "\n";
    CHECK(TestServer::eventually([&] {
        const std::string text = server.metrics();
        return text.find("pie_requests_total{endpoint=\"/infill\",status=\"200\"} 1\n") !=
                   std::string::npos &&
               text.find("pie_requests_total{endpoint=\"/infill\",status=\"400\"} 1\n") !=
                   std::string::npos &&
               text.find(encoded) != std::string::npos &&
               text.find("pie_completion_seconds_count 1\n") != std::string::npos &&
               text.find("pie_completion_seconds_bucket{le=\"+Inf\"} 1\n") != std::string::npos;
    }));
    CHECK(server.get("/metrics").get_header_value("Content-Type").starts_with("text/plain"));
}

TEST_CASE("a key is asked for everywhere but at /health") {
    const TestServer server({.api_key = ApiKey("secret")});
    CHECK(server.get("/health").status == 200);
    CHECK(error_of(server.get("/props"))["code"] == 401);
    CHECK(server.post("/infill", infill_of(prefix, suffix).dump()).status == 401);
    for (const char* wrong : {"Bearer", "Bearer Secret", "secret", "Basic secret"}) {
        CHECK(server.client->Get("/props", httplib::Headers{{"Authorization", wrong}})->status == 401);
    }
    CHECK(server.client->Get("/props", httplib::Headers{{"Authorization", "Bearer secret"}})->status == 200);
    CHECK(server.client->Get("/props", httplib::Headers{{"X-Api-Key", "secret"}})->status == 200);
    // What carries no key is refused before its body is read.
    const std::string announced = test::exchange_raw(
        server.server->port(), "POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    CHECK(announced.starts_with("HTTP/1.1 401"));
}

TEST_CASE("web pages are kept out, unless one was let in") {
    const TestServer server;
    CHECK(server.client->Get("/props", httplib::Headers{{"Origin", "https://example.org"}})->status == 403);
    CHECK(server.client->Get("/props", httplib::Headers{{"Host", "example.org"}})->status == 403);
    CHECK(server.client->Get("/props", httplib::Headers{{"Host", "localhost:80"}})->status == 200);
    CHECK_FALSE(server.get("/props").has_header("Access-Control-Allow-Origin"));
    const auto page = [&](const std::string& host, const std::string& origin) {
        return *server.client->Get("/props", httplib::Headers{{"Host", host}, {"Origin", origin}});
    };
    CHECK(page("localhost:8012", "http://localhost:8012").status == 200); // the server's own
    CHECK(page("localhost:8012", "http://localhost:9000").status == 403);
    // What was wrong is named, with what helps.
    const std::string other = error_of(page("localhost", "https://example.org"))["message"];
    CHECK(other.find("Origin: https://example.org") != std::string::npos);
    CHECK(other.find("--cors-origin") != std::string::npos);
    const std::string named = error_of(page("host.docker.internal:8012", ""))["message"];
    CHECK(named.find("Host: host.docker.internal:8012") != std::string::npos);
    CHECK(named.find("--allow-host host.docker.internal,") != std::string::npos);
    const TestServer known({.allowed_hosts = {"host.docker.internal"}});
    const auto from_container = [&](const char* host) {
        return known.client->Get("/props", httplib::Headers{{"Host", host}})->status;
    };
    CHECK(from_container("host.docker.internal:8012") == 200);
    CHECK(from_container("localhost:8012") == 200);
    CHECK(from_container("example.org") == 403);
    const TestServer open({.cors_origin = "https://example.org"});
    const auto let_in = open.client->Get("/props", httplib::Headers{{"Origin", "https://example.org"}});
    CHECK(let_in->status == 200);
    CHECK(let_in->get_header_value("Access-Control-Allow-Origin") == "https://example.org");
    CHECK(open.client->Get("/props", httplib::Headers{{"Origin", "https://example.com"}})->status == 403);
    CHECK(open.client->Options("/infill")->status == 204);
}

TEST_CASE("stopping ends what is served, with an answer") {
    TestServer server;
    std::future<httplib::Result> waiting;
    {
        const Occupation occupation(*server.model);
        waiting = std::async(std::launch::async, [&] {
            httplib::Client client("127.0.0.1", server.server->port());
            return client.Post("/infill", infill_of(prefix, suffix).dump(), "application/json");
        });
        REQUIRE(TestServer::eventually(
            [&] { return server.get("/slots").body.find("\"is_processing\":true") != std::string::npos; }));
        server.server->stop();
        const auto answer = waiting.get();
        REQUIRE(answer);
        CHECK(answer->status == 503);
    }
    CHECK_FALSE(server.client->Get("/health"));
}

TEST_CASE("while the model loads it listens, and says so to everybody whom it would answer") {
    spdlog::set_level(spdlog::level::off);
    auto started = Server::listen({.port = 0, .api_key = ApiKey("secret")});
    REQUIRE(started);
    const std::unique_ptr<Server> server = *std::move(started);
    httplib::Client client("127.0.0.1", server->port());
    const auto check_loading = [](const httplib::Result& answer) {
        REQUIRE(answer);
        CHECK(answer->status == 503);
        CHECK(answer->get_header_value("Retry-After") == "1");
        CHECK(answer->body ==
              R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})");
    };
    check_loading(client.Get("/health"));
    const auto stranger = client.Get("/v1/models");
    REQUIRE(stranger);
    CHECK(stranger->status == 401);
    client.set_bearer_token_auth("secret");
    check_loading(client.Get("/v1/models"));
    check_loading(client.Post("/infill", "{}", "application/json"));
    check_loading(client.Get("/none"));

    const ScratchFolder scratch;
    testing::write_tiny_model(test::repository_model(), scratch.path / "tiny.gguf");
    server->serve(Model::load(scratch.path / "tiny.gguf", {.n_threads = 1, .n_ctx = 1024}).value());
    const auto health = client.Get("/health");
    REQUIRE(health);
    CHECK(health->status == 200);
    const auto none = client.Get("/none");
    REQUIRE(none);
    CHECK(none->status == 404);
}

TEST_CASE("a server that is stopped while the model loads ends") {
    auto server = Server::listen({.port = 0});
    REQUIRE(server);
    (*server)->stop();
    CHECK_FALSE(httplib::Client("127.0.0.1", (*server)->port()).Get("/health"));
}

TEST_CASE("an address in use, or none, is told") {
    const TestServer server;
    ServerOptions same;
    same.port = server.server->port();
    const auto second = Server::start(*server.model, same);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == ErrorCode::io);
    CHECK(second.error().message.find("--port") != std::string::npos);
    CHECK(Server::start(*server.model, {.host = "no such host", .insecure = true}).error().code ==
          ErrorCode::io);
    CHECK(Server::start(*server.model, {.host = "0.0.0.0"}).error().code == ErrorCode::invalid_argument);
}

} // namespace pie
