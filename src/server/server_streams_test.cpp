// What streams carry beside text: each event's tokens and probabilities are those of its own text, and all of
// them together are the whole answer's.

#include "server/test_chat_model.h"
#include "server/test_server.h"

#include <string>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::greedy;
using test::TestServer;

const std::string within_word = "def total(items):\n    result = 0\n    for item in ite";

// Of llama-server's dialect: the events' contents, tokens and probabilities behind each other, and the end.
json joined_events(const TestServer& server, const std::string& path, json body) {
    body["stream"] = true;
    json joined = {{"content", ""}, {"tokens", json::array()}, {"completion_probabilities", json::array()}};
    std::string content;
    for (const std::string& data : server.events(path, body)) {
        const json event = json::parse(data);
        const json probabilities = event.value("completion_probabilities", json::array());
        CHECK(probabilities.size() == (body.contains("n_probs") ? event["tokens"].size() : 0));
        CHECK((event["stop"] == true || !event["content"].get<std::string>().empty()));
        CHECK((event["stop"] == true || !event["tokens"].empty()));
        content += event["content"].get<std::string>();
        for (const char* name : {"tokens", "completion_probabilities"}) {
            for (const json& value : event.value(name, json::array())) {
                joined[name].push_back(value);
            }
        }
        joined["stop_type"] = event.value("stop_type", json());
        joined["stopping_word"] = event.value("stopping_word", json());
    }
    joined["content"] = content;
    return joined;
}

void check_stream(const TestServer& server, const std::string& path, const json& body) {
    CAPTURE(body.dump(-1, ' ', true, json::error_handler_t::replace));
    const json whole = server.ask(path, body);
    const json joined = joined_events(server, path, body);
    for (const char* name : {"content", "tokens", "stop_type", "stopping_word"}) {
        CHECK(joined[name] == whole[name]);
    }
    CHECK(joined["completion_probabilities"] == whole.value("completion_probabilities", json::array()));
}

json appended(json lists, const json& more) {
    for (const auto& [name, values] : more.items()) {
        for (const json& value : values) {
            lists[name].push_back(value);
        }
    }
    return lists;
}

} // namespace

TEST_CASE("a stream's tokens and probabilities fit its text, event by event") {
    const TestServer server;
    json body = {{"input_prefix", within_word},
                 {"input_suffix", "\n"},
                 {"temperature", 0},
                 {"n_predict", 16},
                 {"return_tokens", true}};
    check_stream(server, "/infill", body);
    body["n_probs"] = 2;
    check_stream(server, "/infill", body);
    const std::string text = server.ask("/infill", body)["content"];
    REQUIRE(text.size() > 6);
    for (size_t i = 0; i + 2 < text.size(); ++i) {
        if (((static_cast<unsigned char>(text[i]) | static_cast<unsigned char>(text[i + 1])) & 0x80U) == 0) {
            body["stop"] = {text.substr(i, 2), text.substr(0, i) + "\x01"};
            check_stream(server, "/infill", body);
        }
    }
    body.erase("stop");
    body["n_indent"] = 1; // ends at a line that is not indented
    check_stream(server, "/infill", body);
}

TEST_CASE("so do those of a prompt as it is") {
    const TestServer server;
    check_stream(server, "/completion",
                 greedy({{"prompt", within_word}, {"return_tokens", true}, {"n_probs", 1}}));
}

TEST_CASE("a stream of text completions has OpenAI's four lists, which fit its text event by event") {
    const TestServer server;
    for (const int n_likeliest : {0, 2}) {
        json body = {
            {"prompt", within_word}, {"max_tokens", 16}, {"temperature", 0}, {"logprobs", n_likeliest}};
        const json whole = server.ask("/v1/completions", body)["choices"][0];
        body["stream"] = true;
        std::string text;
        json lists = {{"tokens", json::array()},
                      {"token_logprobs", json::array()},
                      {"top_logprobs", n_likeliest > 0 ? json::array() : json()},
                      {"text_offset", json::array()}};
        for (const std::string& data : server.events("/v1/completions", body)) {
            if (data == "[DONE]") {
                continue;
            }
            const json choice = json::parse(data)["choices"][0];
            const std::string part = choice["text"];
            CHECK(choice["logprobs"].is_null() == part.empty());
            std::string together;
            for (const json& token : part.empty() ? json::array() : choice["logprobs"]["tokens"]) {
                together += token.get<std::string>();
            }
            CHECK(together == part);
            text += part;
            lists = part.empty() ? lists : appended(lists, choice["logprobs"]);
        }
        CHECK(text == whole["text"]);
        CHECK(lists == whole["logprobs"]);
    }
}

TEST_CASE("a streamed chat's probabilities come with the texts that they are of") {
    const TestServer server({}, {.n_ctx = 2048}, test::chat_model());
    for (const int n_likeliest : {0, 2}) {
        json body = {{"messages", {{{"role", "user"}, {"content", "What is 2 + 2?"}}}},
                     {"max_tokens", 12},
                     {"temperature", 0},
                     {"logprobs", true},
                     {"top_logprobs", n_likeliest}};
        const json whole = server.ask("/v1/chat/completions", body)["choices"][0];
        REQUIRE(whole["logprobs"]["content"].size() > 0);
        CHECK(whole["logprobs"]["content"][0]["top_logprobs"].size() == static_cast<size_t>(n_likeliest));
        body["stream"] = true;
        json content = json::array();
        for (const std::string& data : server.events("/v1/chat/completions", body)) {
            if (data == "[DONE]") {
                continue;
            }
            const json choice = json::parse(data)["choices"][0];
            const bool has_text = !choice["delta"].value("content", "").empty();
            CHECK((!has_text || choice["logprobs"]["content"].size() > 0));
            for (const json& place :
                 choice["logprobs"].is_null() ? json::array() : choice["logprobs"]["content"]) {
                content.push_back(place);
            }
        }
        CHECK(content == whole["logprobs"]["content"]);
    }
}

} // namespace pie
