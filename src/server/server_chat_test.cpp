// Conversations over a loopback connection, on a tiny model with a chat template.

#include "server/test_chat_model.h"
#include "server/test_server.h"

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

struct ChatServer : TestServer {
    ChatServer() : TestServer({}, {.n_ctx = 2048}, test::chat_model()) {}
};

json message(const std::string& role, const std::string& content) {
    return {{"role", role}, {"content", content}};
}

json greedy_chat(const json& messages, json fields = json::object()) {
    fields["messages"] = messages;
    fields["temperature"] = 0;
    fields["max_tokens"] = fields.value("max_tokens", 12);
    return fields;
}

const json question = json::array({message("system", "Be brief."), message("user", "What is 2 + 2?")});
const std::string question_prompt = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 2 + "
                                    "2?<|im_end|>\n<|im_start|>assistant\n";

std::vector<TokenId> tokens_of(const TestServer& server, const std::string& prompt) {
    return server.model->tokenize(prompt, Model::Markup::control_tokens).value();
}

std::string written_by_library(const TestServer& server, const std::string& prompt) {
    Session session = server.model->open();
    REQUIRE(session.set_tokens(tokens_of(server, prompt)));
    return session.complete({.n_predict = 12}).value().text;
}

std::string lines(const std::string& word, int n) {
    std::string text;
    for (int i = 0; i < n; ++i) {
        text += word + " " + std::to_string(i * 7919) + ";\n";
    }
    return text;
}

} // namespace

TEST_CASE("a chat's answer is that to the prompt of its template") {
    const ChatServer server;
    CHECK(server.ask("/apply-template", json{{"messages", question}}) == json{{"prompt", question_prompt}});
    CHECK(tokens_of(server, question_prompt).front() == TokenId(252)); // the marker, and not its letters
    const json answer = server.ask("/v1/chat/completions", greedy_chat(question));
    CHECK(answer["object"] == "chat.completion");
    CHECK(answer["id"].get<std::string>().starts_with("chatcmpl-"));
    CHECK(answer["model"] == "tiny");
    CHECK(answer["created"].get<int64_t>() > 0);
    REQUIRE(answer["choices"].size() == 1);
    const json& choice = answer["choices"][0];
    CHECK(choice["index"] == 0);
    CHECK(choice["message"] ==
          json{{"role", "assistant"}, {"content", written_by_library(server, question_prompt)}});
    CHECK(choice["finish_reason"].is_string());
    CHECK(choice["logprobs"].is_null());
    CHECK(answer["usage"]["prompt_tokens"] == tokens_of(server, question_prompt).size());
    CHECK(answer["usage"]["total_tokens"].get<int>() ==
          answer["usage"]["prompt_tokens"].get<int>() + answer["usage"]["completion_tokens"].get<int>());
    json begun = question;
    begun.push_back(message("assistant", "It is"));
    CHECK(server.ask("/chat/completions", greedy_chat(begun))["choices"][0]["message"]["content"] ==
          written_by_library(server, question_prompt + "It is"));
}

TEST_CASE("a streamed chat: the role, the text, the end, and what it took where that is asked for") {
    const ChatServer server;
    const json whole = server.ask("/v1/chat/completions", greedy_chat(question));
    const auto events = server.events("/v1/chat/completions", greedy_chat(question, {{"stream", true}}));
    REQUIRE(events.size() >= 4);
    CHECK(events.back() == "[DONE]");
    std::string text;
    for (size_t i = 0; i + 1 < events.size(); ++i) {
        const json chunk = json::parse(events[i]);
        CHECK(chunk["object"] == "chat.completion.chunk");
        CHECK(chunk["id"] == json::parse(events[0])["id"]);
        REQUIRE(chunk["choices"].size() == 1);
        const json& choice = chunk["choices"][0];
        CHECK(choice["finish_reason"].is_null() == (i + 2 < events.size()));
        CHECK(choice["delta"].contains("role") == (i == 0));
        text += choice["delta"].value("content", "");
        CHECK_FALSE(chunk.contains("usage"));
    }
    CHECK(text == whole["choices"][0]["message"]["content"]);
    CHECK(json::parse(events[events.size() - 2])["choices"][0]["finish_reason"] ==
          whole["choices"][0]["finish_reason"]);

    const auto counted = server.events(
        "/v1/chat/completions",
        greedy_chat(question, {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
    REQUIRE(counted.size() >= 4);
    CHECK(counted.back() == "[DONE]");
    CHECK(json::parse(counted[counted.size() - 3])["choices"][0]["finish_reason"].is_string());
    const json last = json::parse(counted[counted.size() - 2]);
    CHECK(last["choices"] == json::array());
    CHECK(last["usage"]["prompt_tokens"] == whole["usage"]["prompt_tokens"]);
    CHECK(last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]);
}

TEST_CASE("probabilities and several answers") {
    const ChatServer server;
    const json fields = {{"logprobs", true}, {"top_logprobs", 3}, {"n", 2}};
    const json answer = server.ask("/v1/chat/completions", greedy_chat(question, fields));
    REQUIRE(answer["choices"].size() == 2);
    CHECK(answer["choices"][1]["index"] == 1);
    CHECK(answer["choices"][0]["message"] == answer["choices"][1]["message"]); // at temperature 0
    const json& places = answer["choices"][0]["logprobs"]["content"];
    REQUIRE(places.size() > 0);
    CHECK(places.size() * 2 == answer["usage"]["completion_tokens"]);
    CHECK(places[0]["top_logprobs"].size() == 3);
    CHECK(places[0]["logprob"].get<double>() <= 0);
}

TEST_CASE("a history that lost a span in the middle is an edit") {
    const ChatServer server;
    json history = json::array({message("system", lines("rule", 20)), message("user", "Add two numbers."),
                                message("assistant", lines("think", 8)), message("user", lines("code", 20)),
                                message("user", "And now?")});
    const json first = server.ask("/v1/chat/completions", greedy_chat(history));
    const int n_first = first["reuse"]["tokens_context"];
    history[2]["content"] = "int sum;";
    const json second = server.ask("/v1/chat/completions", greedy_chat(history));
    const int n_second = second["reuse"]["tokens_context"];
    CHECK(n_second < n_first);
    CHECK(second["reuse"]["tokens_moved"].get<int>() > n_second / 4);
    CHECK(second["reuse"]["tokens_encoded"].get<int>() < n_second / 3);
    CHECK(json::parse(server.get("/slots").body).size() == 1);
    history.push_back(message("assistant", "It is 4."));
    history.push_back(message("user", "Thanks."));
    const json third = server.ask("/v1/chat/completions", greedy_chat(history));
    CHECK(third["reuse"]["tokens_kept"].get<int>() > n_second / 2);
}

TEST_CASE("what is wrong with a chat is told as OpenAI's clients expect") {
    const ChatServer server;
    const auto error_of = [&](const char* path, const json& body) {
        const auto response = server.post(path, body.dump());
        CAPTURE(response.body);
        json error = json::parse(response.body).at("error");
        CHECK(error["code"] == response.status);
        CHECK(error["message"].is_string());
        return error;
    };
    for (const char* path : {"/v1/chat/completions", "/apply-template"}) {
        CAPTURE(path);
        CHECK(error_of(path, {{"messages", json::array()}})["type"] == "invalid_request_error");
        CHECK(error_of(path, {{"messages", question}, {"tools", json::array({json::object()})}})["code"] ==
              501);
        CHECK(error_of(path, greedy_chat(json::array({message("user", std::string("a\0b", 3))})))["code"] ==
              400);
    }
    CHECK(error_of("/v1/chat/completions",
                   greedy_chat(json::array({message("user", lines("long", 2000))})))["type"] ==
          "exceed_context_size_error");
    json streamed = greedy_chat(json::array({message("user", lines("long", 2000))}), {{"stream", true}});
    CHECK(error_of("/v1/chat/completions", streamed)["code"] == 400);
    const TestServer plain;
    const auto refused = plain.post("/v1/chat/completions", greedy_chat(question).dump());
    CHECK(refused.status == 501);
    CHECK(json::parse(refused.body)["error"]["type"] == "not_supported_error");
    CHECK(plain.post("/apply-template", json{{"messages", question}}.dump()).status == 501);
}

} // namespace pie
