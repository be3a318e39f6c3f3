// What llama.vim and llama.vscode send, answered so that their own checks pass.

#include "server/client_requests.h"
#include "server/test_server.h"

#include <regex>

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

std::string greedy(std::string_view body) {
    json object = json::parse(body);
    object["temperature"] = 0;
    object["samplers"] = json::array({"temperature"});
    object.erase("response_fields");
    return object.dump();
}

} // namespace

TEST_CASE("llama.vim: an object whose raw text holds \"content\": and flat slashed fields") {
    const TestServer server;
    // The plugin sends the key's header even where none is configured.
    const std::string response = test::exchange_raw(
        server.server->port(),
        "POST /infill HTTP/1.1\r\nHost: 127.0.0.1:8012\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer \r\nConnection: close\r\nContent-Length: " +
            std::to_string(test::vim_infill.size()) + "\r\n\r\n" + std::string(test::vim_infill));
    CAPTURE(response);
    REQUIRE(response.starts_with("HTTP/1.1 200"));
    const std::string body = response.substr(response.find("\r\n\r\n") + 4);
    CHECK(body.starts_with("{"));
    CHECK(std::regex_search(body, std::regex("\"content\"\\s*:\"")));
    const json answer = json::parse(body);
    const json request = json::parse(test::vim_infill);
    CHECK(answer.size() == request["response_fields"].size());
    for (const auto& field : request["response_fields"]) {
        CAPTURE(field);
        CHECK(answer.contains(field.get<std::string>()));
    }
    CHECK(answer["content"].is_string());
    CHECK(answer["timings/prompt_n"].get<int>() > 0);
    CHECK(answer["timings/predicted_n"].get<int>() <= 8);
    CHECK(answer["tokens_cached"].get<int>() > 0);
    CHECK(answer["truncated"] == false);
}

TEST_CASE("llama.vim: a warm-up is answered with an empty object, and its chunks are not encoded again") {
    const TestServer server;
    const auto response = server.post("/infill", test::vim_warm_up);
    REQUIRE(response.status == 200);
    CHECK(response.body == "{}");
    // The answer does not wait for the model: the plugin allows it a millisecond.
    CHECK(TestServer::eventually(
        [&] { return json::parse(server.get("/slots").body)[0]["tokens_cached"].get<int>() > 0; }));
    json request = json::parse(greedy(test::vim_infill));
    request["input_extra"] = json::parse(test::vim_warm_up)["input_extra"];
    const json answer = server.ask("/infill", request);
    const json fresh = [&] {
        request["cache_prompt"] = false;
        return server.ask("/infill", request);
    }();
    const int context = answer["reuse"]["tokens_context"];
    CHECK(fresh["reuse"]["tokens_context"] == context);
    CHECK(fresh["content"] == answer["content"]);
    CHECK(answer["reuse"]["tokens_kept"].get<int>() > 0);
    CHECK(answer["reuse"]["tokens_encoded"].get<int>() < context);
    CHECK(answer["id_slot"] == 0);
    CHECK(fresh["id_slot"] == -1);
}

TEST_CASE("llama.vscode: n_cmpl gives an array, and the fields that it reads") {
    const TestServer server;
    CHECK(server.post("/infill", test::vscode_warm_up).status == 200);
    const json answer = server.ask("/infill", test::vscode_infill);
    REQUIRE(answer.is_array());
    REQUIRE(answer.size() == 3);
    for (size_t i = 0; i < 3; ++i) {
        CHECK(answer[i]["index"] == i);
        CHECK(answer[i]["content"].is_string());
        CHECK(answer[i]["generation_settings"].is_object());
        CHECK(answer[i]["generation_settings"]["n_ctx"] == 1024);
        CHECK(answer[i]["timings"]["predicted_ms"].is_number());
        CHECK(answer[i]["tokens_cached"].is_number());
    }
    json one = json::parse(test::vscode_infill);
    one["n_cmpl"] = 1;
    CHECK(server.ask("/infill", one).is_object());
    CHECK(server.get("/health").body == R"({"status":"ok"})");
}

TEST_CASE("typing on is an append to the session that holds the rest") {
    const TestServer server;
    json request = json::parse(greedy(test::vim_infill));
    const json first = server.ask("/infill", request);
    request["prompt"] = "    for item in it";
    const json second = server.ask("/infill", request);
    CHECK(second["id_slot"] == first["id_slot"]);
    CHECK(second["reuse"]["tokens_kept"].get<int>() > 50);
    CHECK(second["reuse"]["tokens_encoded"].get<int>() < 8);
    CHECK(second["reuse"]["exact"] == true);
    CHECK(second["reuse"]["bit_exact"].is_boolean());
    CHECK(second["timings"]["cache_n"] == second["reuse"]["tokens_kept"]);
    CHECK(second["timings"]["prompt_n"] == second["reuse"]["tokens_encoded"]);
    // As if nothing had been there.
    request["cache_prompt"] = false;
    CHECK(server.ask("/infill", request)["content"] == second["content"]);
}

TEST_CASE("two files are two sessions, and each finds its own again") {
    const TestServer server;
    json one = json::parse(greedy(test::vim_infill));
    one["input_extra"] = json::array();
    json other = one;
    other["input_prefix"] = "class Tree:\n    def __init__(self):\n        self.children = []\n";
    other["input_suffix"] = "\n\nTree().show()\n";
    const json first = server.ask("/infill", one);
    const json second = server.ask("/infill", other);
    CHECK(first["id_slot"] != second["id_slot"]); // though both ask for slot 0
    for (int i = 0; i < 3; ++i) {
        const json again = server.ask("/infill", i % 2 == 0 ? one : other);
        const json& before = i % 2 == 0 ? first : second;
        CHECK(again["id_slot"] == before["id_slot"]);
        CHECK(again["content"] == before["content"]);
        CHECK(again["reuse"]["tokens_encoded"].get<int>() == 0);
    }
    CHECK(json::parse(server.get("/slots").body).size() == 2);
}

TEST_CASE("a model that was trained with the suffix first fills in, by /infill and by its own markers") {
    const TestServer server({}, {}, {.architecture = "llama", .spoil = [](gguf_context* gguf) {
                                         testing::rename_tokens(gguf, {{"<fim_prefix>", "[PREFIX]"},
                                                                       {"<fim_suffix>", "[SUFFIX]"},
                                                                       {"<fim_middle>", "[MIDDLE]"}});
                                     }});
    const json filled = server.ask(
        "/infill",
        {{"input_prefix", "a = 1\n"}, {"input_suffix", "\nc"}, {"n_predict", 4}, {"temperature", 0}});
    CHECK(filled["tokens_evaluated"] == 10); // two markers, and a token a byte
    const json marked = server.ask(
        "/completion", {{"prompt", "[SUFFIX]\nc[PREFIX]a = 1\n"}, {"n_predict", 4}, {"temperature", 0}});
    CHECK(marked["content"] == filled["content"]);
    CHECK(marked["id_slot"] == filled["id_slot"]);
}

TEST_CASE("a model without markers refuses to fill in, and says so as llama-server does") {
    const TestServer server({}, {}, {.architecture = "llama", .spoil = test::rename_fill_markers});
    const auto response = server.post("/infill", test::vim_infill);
    CHECK(response.status == 501);
    CHECK(json::parse(response.body)["error"]["type"] == "not_supported_error");
    CHECK(server.post("/v1/completions", R"({"prompt":"a","suffix":"b"})").status == 501);
    CHECK(server.post("/v1/completions", R"({"prompt":"a","suffix":"","max_tokens":2})").status == 200);
}

} // namespace pie
