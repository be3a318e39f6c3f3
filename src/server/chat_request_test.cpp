// Conversations as OpenAI's clients send them.

#include "server/chat_request.h"

#include <doctest/doctest.h>

#include <string>

namespace pie {
namespace {

std::string with_messages(const std::string& messages, const std::string& more = {}) {
    return "{\"messages\":[" + messages + "]" + (more.empty() ? "" : "," + more) + "}";
}

const std::string hello = R"({"role":"user","content":"Hello"})";

} // namespace

TEST_CASE("messages with strings and with parts of text") {
    const auto request = parse_chat_request(with_messages(R"({"role":"developer","content":"Be brief."},
                         {"role":"user","name":"Ann","content":[{"type":"text","text":"one"},
                                                                {"type":"text","text":"two"}]},
                         {"role":"assistant","content":"","tool_calls":[]},
                         {"role":"user","content":[]})"));
    REQUIRE(request);
    REQUIRE(request->messages.size() == 4);
    CHECK(request->messages[0].role == "system");
    CHECK(request->messages[0].content == "Be brief.");
    CHECK(request->messages[1].role == "user");
    CHECK(request->messages[1].content == "one\ntwo");
    CHECK(request->messages[2].content.empty());
    CHECK(request->messages[3].content.empty());
}

TEST_CASE("OpenAI's fields") {
    const auto request = parse_chat_request(with_messages(
        hello, R"("model":"m","max_completion_tokens":7,"stop":"\n","temperature":0.5,"top_p":0.9,
                                "seed":3,"n":2,"stream":true,"stream_options":{"include_usage":true},
                                "logprobs":true,"top_logprobs":4,"tool_choice":"none","tools":[],"user":"u",
                                "add_generation_prompt":true,"chat_template_kwargs":{"enable_thinking":false})"));
    REQUIRE(request);
    const GenerationRequest& generation = request->generation;
    CHECK(generation.options.n_predict == 7);
    CHECK(generation.options.stop.strings == std::vector<std::string>{"\n"});
    CHECK(generation.options.sampling.temperature == 0.5F);
    CHECK(generation.options.sampling.top_p == 0.9F);
    CHECK(generation.options.sampling.seed == 3);
    CHECK(generation.n_completions == 2);
    CHECK(generation.stream);
    CHECK(generation.stream_usage);
    CHECK(generation.options.n_probs == 4);
    CHECK(parse_chat_request(with_messages(hello, R"("max_tokens":9)"))->generation.options.n_predict == 9);
    CHECK(parse_chat_request(with_messages(hello, R"("logprobs":true)"))->generation.options.n_probs == 1);
    CHECK(parse_chat_request(with_messages(hello, R"("logprobs":false)"))->generation.options.n_probs == 0);
}

TEST_CASE("what is wrong with a conversation is named") {
    for (const std::string& body :
         {std::string("{}"), std::string(R"({"messages":{}})"), std::string(R"({"messages":"Hello"})"),
          with_messages(""), with_messages("7"), with_messages(R"({"content":"Hello"})"),
          with_messages(R"({"role":"user"})"), with_messages(R"({"role":"user","content":null})"),
          with_messages(R"({"role":"user","content":7})"), with_messages(R"({"role":"king","content":""})"),
          with_messages(R"({"role":7,"content":""})"), with_messages(R"({"role":"user","content":["a"]})"),
          with_messages(R"({"role":"user","content":[{"text":"a"}]})"),
          with_messages(R"({"role":"user","content":[{"type":"text"}]})"),
          with_messages(R"({"role":"user","content":[{"type":"text","text":7}]})"),
          with_messages(hello, R"("top_logprobs":2)"), with_messages(hello, R"("max_tokens":-7)")}) {
        CAPTURE(body);
        const auto request = parse_chat_request(body);
        REQUIRE_FALSE(request.has_value());
        CHECK(request.error().code == ErrorCode::invalid_argument);
    }
    const auto second =
        parse_chat_request(with_messages(hello + R"(,{"role":"user","content":[{"type":"text"}]})"));
    CHECK(second.error().message.find("messages[1].content[0].text") != std::string::npos);
}

TEST_CASE("what no known template can write is refused") {
    for (const std::string& body :
         {with_messages(R"({"role":"tool","content":"4","tool_call_id":"a"})"),
          with_messages(R"({"role":"assistant","content":"","tool_calls":[{}]})"),
          with_messages(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]})"),
          with_messages(hello, R"("tools":[{}])"), with_messages(hello, R"("tool_choice":"required")"),
          with_messages(hello, R"("response_format":{"type":"json_object"})"),
          with_messages(hello, R"("add_generation_prompt":false)")}) {
        CAPTURE(body);
        const auto request = parse_chat_request(body);
        REQUIRE_FALSE(request.has_value());
        CHECK(request.error().code == ErrorCode::unsupported);
    }
}

} // namespace pie
