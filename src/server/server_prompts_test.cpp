// Prompts in several forms, several completions in one stream, and limits of time, over a loopback
// connection.

#include "server/test_server.h"

#include <spdlog/sinks/ringbuffer_sink.h>

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::greedy;
using test::prefix;
using test::suffix;
using test::TestServer;

std::string filled_in_by_library(const TestServer& server) {
    Session session = server.model->open_fresh();
    REQUIRE(session.set_text(prefix + suffix, ByteOffset(prefix.size())));
    return session.complete({.n_predict = 12}).value().text;
}

std::string continued_by_library(const TestServer& server, const std::string& prompt) {
    Session session = server.model->open_fresh();
    REQUIRE(session.set_tokens(server.model->tokenize(prompt, Model::Markup::control_tokens).value(),
                               TokenHealing::on));
    return session.complete({.n_predict = 12}).value().text;
}

std::string many_lines() {
    std::string text;
    for (int i = 0; i < 100; ++i) {
        text += "total += item" + std::to_string(i) + "\n";
    }
    return text;
}

// One that takes its time for the first prompt.
struct SlowServer : TestServer {
    SlowServer() : TestServer({}, {.n_ctx = 2048}, deep_model()) {}

    static testing::TinyModel deep_model() {
        testing::TinyModel model = test::repository_model();
        model.n_layer = 12;
        return model;
    }
};

// What the log says, while it lives.
class LastLines {
  public:
    LastLines() : before_(spdlog::default_logger()) {
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("", sink_));
    }
    ~LastLines() { spdlog::set_default_logger(before_); }
    LastLines(const LastLines&) = delete;
    LastLines& operator=(const LastLines&) = delete;

    bool hold(const std::string& words) const {
        return std::ranges::any_of(sink_->last_formatted(), [&](const std::string& line) {
            return line.find(words) != std::string::npos;
        });
    }

  private:
    std::shared_ptr<spdlog::logger> before_;
    std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> sink_ =
        std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(64);
};

} // namespace

TEST_CASE("a prompt with the markers in its text is filled in like any other") {
    const TestServer server;
    const std::string marked = "<fim_prefix>" + prefix + "<fim_suffix>" + suffix + "<fim_middle>";
    const std::string expected = filled_in_by_library(server);
    for (const char* path : {"/completion", "/v1/completions"}) {
        const json answer = server.ask(path, greedy({{"prompt", marked}}));
        CHECK((answer.contains("content") ? answer["content"] : answer["choices"][0]["text"]) == expected);
    }
    // The same session as /infill's, to the token.
    const json infill = server.ask("/infill", greedy({{"input_prefix", prefix}, {"input_suffix", suffix}}));
    CHECK(infill["reuse"]["tokens_encoded"] == 0);
    // A file longer than the context is cut, where a prompt as it is would be refused.
    std::string before;
    for (int i = 0; i < 20; ++i) {
        before += many_lines();
    }
    const json cut =
        server.ask("/completion",
                   greedy({{"prompt", "<fim_prefix>" + before + "<fim_suffix>" + suffix + "<fim_middle>"}}));
    CHECK(cut["reuse"]["tokens_context"].get<int>() <= 1024);
}

TEST_CASE("without cache_prompt everything is encoded, whatever other sessions hold") {
    const TestServer server;
    json body = greedy({{"input_prefix", prefix + many_lines()}, {"input_suffix", suffix}});
    server.ask("/infill", body);
    body["cache_prompt"] = false;
    json reuse = server.ask("/infill", body)["reuse"];
    CHECK(reuse["tokens_context"].get<int>() > 200);
    CHECK(reuse["tokens_encoded"] == reuse["tokens_context"]);

    const json text = {{"text", prefix + many_lines()}, {"cursor", 0}, {"version", 1}};
    REQUIRE(server.client->Put("/v1/documents/a.py", text.dump(), "application/json")->status == 200);
    const std::string path = "/v1/documents/a.py/complete";
    server.ask(path, greedy(json::object()));
    reuse = server.ask(path, greedy(json{{"cache_prompt", false}}))["reuse"];
    CHECK(reuse["tokens_encoded"] == reuse["tokens_context"]);
}

TEST_CASE("a prompt with other markers, or none that fit, stays as it is") {
    const TestServer server;
    const std::vector<std::string> prompts = {
        "<|endoftext|><fim_prefix>" + prefix + "<fim_suffix>" + suffix + "<fim_middle>",
        "<fim_prefix>" + prefix + "<|endoftext|><fim_suffix>" + suffix + "<fim_middle>",
        "<fim_prefix>" + prefix + "<fim_suffix>" + suffix + "<fim_suffix>x<fim_middle>",
        "<fim_suffix>" + suffix + "<fim_prefix>" + prefix + "<fim_middle>",
        "<fim_prefix>" + prefix + "<fim_suffix>" + suffix + "<fim_middle>    for",
        "<fim_prefix>" + prefix + "<fim_middle>",
        "<fim_prefix><fim_middle>"};
    for (const std::string& prompt : prompts) {
        CAPTURE(prompt);
        CHECK(server.ask("/completion", greedy({{"prompt", prompt}, {"cache_prompt", false}}))["content"] ==
              continued_by_library(server, prompt));
    }
}

TEST_CASE("an empty suffix is the end of a file") {
    const TestServer server;
    const json filled = server.ask("/infill", greedy({{"input_prefix", prefix}, {"input_suffix", ""}}));
    const json answer = server.ask("/v1/completions", greedy({{"prompt", prefix}, {"suffix", ""}}));
    CHECK(answer["choices"][0]["text"] == filled["content"]);
    CHECK(answer["reuse"]["tokens_encoded"] == 0); // the same prompt, to the token
    CHECK(server.ask("/completion", greedy({{"prompt", prefix}, {"suffix", ""}}))["content"] ==
          filled["content"]);
    // Who writes the markers, or other control tokens, means the prompt as it is.
    const auto as_it_is = [&](const std::string& prompt) {
        const json body = greedy({{"prompt", prompt}, {"suffix", ""}, {"cache_prompt", false}});
        return server.ask("/v1/completions", body)["choices"][0]["text"].get<std::string>();
    };
    CHECK(as_it_is("<fim_prefix>" + prefix + "<fim_suffix>" + suffix + "<fim_middle>") ==
          filled_in_by_library(server));
    CHECK(as_it_is("<|endoftext|>" + prefix) == continued_by_library(server, "<|endoftext|>" + prefix));
}

TEST_CASE("an empty suffix changes nothing for a model without markers, another is refused") {
    const TestServer server({}, {}, {.architecture = "llama", .spoil = test::rename_fill_markers});
    const json plain = server.ask("/v1/completions", greedy({{"prompt", prefix}}));
    CHECK(server.ask("/v1/completions", greedy({{"prompt", prefix}, {"suffix", ""}}))["choices"] ==
          plain["choices"]);
    CHECK(server.post("/v1/completions", greedy({{"prompt", prefix}, {"suffix", "\n"}}).dump()).status ==
          501);
}

TEST_CASE("the last token of a prompt that is text is written anew, unless that is not wanted") {
    const TestServer server;
    const std::string text = "import sys\nimport nu";
    const json ids = server.ask("/tokenize", json{{"content", text}})["tokens"];
    const std::string last = server.ask("/detokenize", json{{"tokens", {ids.back()}}})["content"];
    REQUIRE_FALSE(last.empty());
    for (const char* path : {"/completion", "/v1/completions"}) {
        const json answer =
            server.ask(path, greedy({{"prompt", text}, {"return_tokens", true}, {"cache_prompt", false}}));
        const std::string content =
            answer.contains("content") ? answer["content"] : answer["choices"][0]["text"];
        CHECK(content == continued_by_library(server, text));
        CHECK(answer["reuse"]["tokens_context"] == ids.size() - 1);
        if (answer.contains("tokens")) {
            CHECK(server.ask("/detokenize", json{{"tokens", answer["tokens"]}})["content"] == last + content);
        }
    }
    const json as_it_is = server.ask(
        "/completion", greedy({{"prompt", text}, {"token_healing", false}, {"cache_prompt", false}}));
    CHECK(as_it_is["reuse"]["tokens_context"] == ids.size());
    const json of_tokens = server.ask("/completion", greedy({{"prompt", ids}, {"cache_prompt", false}}));
    CHECK(of_tokens["content"] == as_it_is["content"]);
    CHECK(of_tokens["reuse"]["tokens_context"] == ids.size());
    // Behind the end of a line any token may begin.
    const json line = server.ask("/completion", greedy({{"prompt", "import sys\n"}}));
    const json line_ids = server.ask("/tokenize", json{{"content", "import sys\n"}})["tokens"];
    CHECK(line["reuse"]["tokens_context"] == line_ids.size());
}

TEST_CASE(
    "tokens, probabilities and the stopping word fit the text, where it begins within a word and ends") {
    const TestServer server;
    const std::string before = "def total(items):\n    result = 0\n    for item in ite";
    json body = {{"input_prefix", before}, {"input_suffix", "\n"}, {"temperature", 0},
                 {"n_predict", 16},        {"n_probs", 2},         {"return_tokens", true}};
    const json whole = server.ask("/infill", body);
    const std::string text = whole["content"];
    REQUIRE(text.size() > 6);
    for (size_t i = 0; i + 2 < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0x80U) != 0 ||
            (static_cast<unsigned char>(text[i + 1]) & 0x80U) != 0) {
            continue;
        }
        const std::string word = text.substr(i, 2);
        CAPTURE(word);
        body["stop"] = {"never written", word};
        const json cut = server.ask("/infill", body);
        CHECK(cut["stopping_word"] == word);
        CHECK(cut["content"] == text.substr(0, text.find(word)));
        CHECK(cut["completion_probabilities"].size() == cut["tokens"].size());
        CHECK(cut["tokens"].size() <= cut["tokens_predicted"].get<size_t>());
        CHECK(cut["content"].get<std::string>().empty() == cut["tokens"].empty());
    }
}

TEST_CASE("probabilities of text completions are OpenAI's four lists") {
    const TestServer server;
    json body = {{"prompt", "def one():\n"}, {"max_tokens", 8}, {"temperature", 0}, {"logprobs", 3}};
    const json choice = server.ask("/v1/completions", body)["choices"][0];
    const json& lists = choice["logprobs"];
    REQUIRE(lists["tokens"].size() > 0);
    std::string together;
    for (const json& token : lists["tokens"]) {
        together += token.get<std::string>();
    }
    CHECK(together == choice["text"]);
    CHECK(lists["text_offset"][0] == 0);
    for (const char* name : {"token_logprobs", "top_logprobs", "text_offset"}) {
        CHECK(lists[name].size() == lists["tokens"].size());
    }
    CHECK(lists["token_logprobs"][0].get<double>() <= 0);
    CHECK(lists["top_logprobs"][0].is_object());
    body["logprobs"] = 0;
    const json taken = server.ask("/v1/completions", body)["choices"][0]["logprobs"];
    CHECK(taken["tokens"] == lists["tokens"]);
    CHECK(taken["token_logprobs"] == lists["token_logprobs"]);
    CHECK(taken["top_logprobs"].is_null());
    body.erase("logprobs");
    CHECK(server.ask("/v1/completions", body)["choices"][0]["logprobs"].is_null());
}

TEST_CASE("several prompts: a choice for each, in their order") {
    const TestServer server;
    const std::vector<std::string> prompts = {"def one():\n", "class Two:\n", "import three\n"};
    std::vector<std::string> expected;
    std::vector<json> as_tokens;
    for (const std::string& prompt : prompts) {
        const json alone =
            server.ask("/v1/completions", json{{"prompt", prompt}, {"max_tokens", 8}, {"temperature", 0}});
        expected.push_back(alone["choices"][0]["text"]);
        as_tokens.push_back(server.ask("/tokenize", json{{"content", prompt}})["tokens"]);
    }
    json body = {{"prompt", prompts}, {"max_tokens", 8}, {"temperature", 0}, {"n", 2}};
    const json openai = server.ask("/v1/completions", body);
    REQUIRE(openai["choices"].size() == 6);
    for (size_t i = 0; i < 6; ++i) {
        CHECK(openai["choices"][i]["index"] == i);
        CHECK(openai["choices"][i]["text"] == expected[i / 2]);
    }
    CHECK(openai["usage"]["prompt_tokens"].get<size_t>() ==
          as_tokens[0].size() + as_tokens[1].size() + as_tokens[2].size());
    const json ids =
        server.ask("/completion", json{{"prompt", as_tokens}, {"n_predict", 8}, {"temperature", 0}});
    REQUIRE(ids.size() == 3);
    CHECK(ids[2]["content"] == expected[2]);
    body["stream"] = true;
    std::vector<std::string> streamed(6);
    for (const std::string& event : server.events("/v1/completions", body)) {
        if (event != "[DONE]") {
            const json choice = json::parse(event)["choices"][0];
            streamed.at(choice["index"].get<size_t>()) += choice["text"].get<std::string>();
        }
    }
    for (size_t i = 0; i < 6; ++i) {
        CHECK(streamed[i] == expected[i / 2]);
    }
    for (const json& empty : {json(""), json::array(), json::array({""})}) {
        CHECK(server.post("/completion", json{{"prompt", empty}, {"n_predict", 2}}.dump()).status == 200);
    }
    const json many(std::vector<std::string>(129, "a"));
    CHECK(server.post("/completion", json{{"prompt", many}}.dump()).status == 400);
}

TEST_CASE("a bias changes what is written; without weight it is neutral; the end may be kept out") {
    const TestServer server;
    json body = {{"prompt", "def one():\n"}, {"n_predict", 8}, {"temperature", 0}, {"return_tokens", true}};
    const json plain = server.ask("/completion", body);
    REQUIRE(plain["tokens"].size() > 0);
    const int first = plain["tokens"][0];
    body["logit_bias"] = {{std::to_string(first), 0}, {"4000000", 1}};
    CHECK(server.ask("/completion", body)["content"] == plain["content"]);
    body["logit_bias"] = json::array({json::array({first, false})});
    CHECK(server.ask("/completion", body)["tokens"][0] != first);
    body["logit_bias"] = {{std::to_string(first + 1), 1000}};
    CHECK(server.ask("/completion", body)["tokens"][0] == first + 1);
    const std::string word = "item"; // of several tokens, each of which is biased
    const std::vector<int> ids = server.ask("/tokenize", json{{"content", word}})["tokens"];
    REQUIRE(ids.size() > 1);
    json of_tokens = json::array();
    for (const int id : ids) {
        of_tokens.push_back({id, 1000});
    }
    for (const json& bias : {json{{word, 1000}}, json::array({json::array({word, 1000})})}) {
        body["logit_bias"] = bias;
        const json answer = server.ask("/completion", body);
        CHECK(std::ranges::count(ids, answer["tokens"][0].get<int>()) == 1);
        body["logit_bias"] = of_tokens;
        CHECK(server.ask("/completion", body)["tokens"] == answer["tokens"]);
    }
    const std::string document = "/v1/documents/a.py";
    REQUIRE(server.client->Put(document, R"({"text":"def one():\n"})", "application/json")->status == 200);
    const json biased = greedy({{"logit_bias", {{word, 1000}}}, {"return_tokens", true}});
    const json answer = server.ask(document + "/complete", biased);
    CHECK(std::ranges::count(ids, answer["tokens"][0].get<int>()) == 1);
    const json ended = {
        {"prompt", "def one():\n"}, {"n_predict", 64}, {"temperature", 2}, {"ignore_eos", true}};
    for (int seed = 0; seed < 8; ++seed) {
        json drawn = ended;
        drawn["seed"] = seed;
        CHECK(server.ask("/completion", drawn)["tokens_predicted"] == 64);
    }
}

TEST_CASE("filling in ends before a line of backticks, where the text has none and is no Markdown") {
    const TestServer server;
    const auto biased = [](json fields) {
        fields["logit_bias"] = {{"`", 1000}};
        return greedy(std::move(fields));
    };
    const std::string written(12, '`');
    const std::string line = "def one():\n";
    const json filled = server.ask("/infill", biased({{"input_prefix", line}, {"input_suffix", ""}}));
    CHECK(filled["content"] == "");
    CHECK(filled["stop_type"] == "eos");
    const json behind_text = server.ask("/infill", biased({{"input_prefix", "x"}, {"input_suffix", ""}}));
    // On a line that is begun they are what they are; the first token writes that anew.
    CHECK(behind_text["content"] == written.substr(1));
    const json with_fence =
        server.ask("/infill", biased({{"input_prefix", line}, {"input_suffix", "```\n"}}));
    CHECK(with_fence["content"] == written);
    CHECK(server.ask("/completion", biased({{"prompt", line}}))["content"] == written);
    const auto in_document = [&](const std::string& path) {
        const auto put = server.client->Put(path, json{{"text", line}}.dump(), "application/json");
        REQUIRE(put->status == 200);
        return server.ask(path + "/complete", biased(json::object()))["content"].get<std::string>();
    };
    CHECK(in_document("/v1/documents/a.py") == "");
    CHECK(in_document("/v1/documents/a.md") == written);
}

TEST_CASE("several completions in one stream, each with its index") {
    const TestServer server;
    json body = {{"input_prefix", prefix}, {"input_suffix", suffix},
                 {"temperature", 5},       {"seed", 7},
                 {"n_predict", 12},        {"n_cmpl", 3}};
    const json whole = server.ask("/infill", body);
    body["stream"] = true;
    std::map<int, std::string> texts;
    std::map<int, json> ends;
    for (const std::string& text : server.events("/infill", body)) {
        const json event = json::parse(text);
        texts[event["index"].get<int>()] += event["content"].get<std::string>();
        if (event["stop"] == true) {
            ends[event["index"].get<int>()] = event;
        }
    }
    REQUIRE(ends.size() == 3);
    for (int i = 0; i < 3; ++i) {
        const json& expected = whole[static_cast<size_t>(i)];
        CHECK(texts[i] == expected["content"]);
        CHECK(ends[i]["tokens_predicted"] == expected["tokens_predicted"]);
        CHECK(ends[i]["stop_type"] == expected["stop_type"]);
    }
    CHECK(texts[0] != texts[1]);

    body = {{"prompt", prefix}, {"suffix", suffix},
            {"temperature", 5}, {"seed", 7},
            {"max_tokens", 12}, {"n", 3},
            {"stream", true},   {"stream_options", {{"include_usage", true}}}};
    auto events = server.events("/v1/completions", body);
    REQUIRE(events.size() > 4);
    CHECK(events.back() == "[DONE]");
    CHECK(json::parse(events[events.size() - 2])["choices"] == json::array());
    CHECK(json::parse(events[events.size() - 2])["usage"]["completion_tokens"].get<int>() > 0);
    std::map<int, std::string> openai_texts;
    std::map<int, int> n_ends;
    for (size_t i = 0; i + 2 < events.size(); ++i) {
        const json choice = json::parse(events[i])["choices"][0];
        openai_texts[choice["index"].get<int>()] += choice["text"].get<std::string>();
        n_ends[choice["index"].get<int>()] += choice["finish_reason"].is_null() ? 0 : 1;
    }
    CHECK(openai_texts == texts);
    CHECK(n_ends == std::map<int, int>{{0, 1}, {1, 1}, {2, 1}});
}

TEST_CASE("a prompt that takes longer than its client waits is answered late, and the log says why") {
    const SlowServer server;
    const LastLines log;
    json body = greedy({{"input_prefix", many_lines()}, {"input_suffix", suffix}, {"t_max_prompt_ms", 1}});
    const json late = server.ask("/infill", body);
    CHECK(late["tokens_predicted"] == 12);
    CHECK(late["timings"]["prompt_ms"].get<double>() > 1);
    CHECK(late["generation_settings"]["t_max_prompt_ms"] == 1);
    CHECK(TestServer::eventually([&] { return log.hold("; late: its prompt was ready after "); }));
    CHECK(log.hold(" tokens were encoded for "));
    CHECK(log.hold("t_max_prompt_ms is 1"));
    body.erase("t_max_prompt_ms");
    body["cache_prompt"] = false;
    CHECK(server.ask("/infill", body)["content"] == late["content"]);
    // All completions of an answer, and a stream.
    body = {{"input_prefix", "x = 1\n" + many_lines() + many_lines()},
            {"input_suffix", ""},
            {"t_max_prompt_ms", 1},
            {"n_predict", 12},
            {"n_cmpl", 2}};
    const json several = server.ask("/infill", body);
    REQUIRE(several.size() == 2);
    CHECK(several[1]["tokens_predicted"].get<int>() > 0);
    const auto events = server.events(
        "/v1/completions",
        greedy({{"prompt", many_lines() + "y = 2\n"}, {"t_max_prompt_ms", 1}, {"stream", true}}));
    CHECK(events.size() > 2);
}

TEST_CASE("what only prepares the cache waits no longer than it says, and is ready later") {
    const SlowServer server;
    json body = greedy({{"input_prefix", many_lines()}, {"input_suffix", suffix}, {"t_max_prompt_ms", 1}});
    body["n_predict"] = 0;
    const json none = server.ask("/infill", body);
    CHECK(none["content"] == "");
    CHECK(none["stop_type"] == "limit");
    CHECK(TestServer::eventually([&] {
        const json slots = json::parse(server.get("/slots").body);
        return slots[0]["tokens_cached"].get<int>() > 500;
    }));
    body["n_predict"] = 12;
    const json later = server.ask("/infill", body);
    CHECK(later["reuse"]["tokens_encoded"] == 0);
    CHECK(later["id_slot"] == none["id_slot"]);
    CHECK(later["tokens_predicted"] == 12);
}

TEST_CASE("who types on does not throw away what is being encoded") {
    const SlowServer server;
    json body = greedy({{"input_prefix", many_lines()}, {"input_suffix", suffix}, {"t_max_prompt_ms", 1}});
    int n_encoded = 0;
    for (const char* typed : {"f", "fo", "for", "for i"}) {
        body["prompt"] = typed;
        const json answer = server.ask("/infill", body);
        CHECK(answer["tokens_predicted"] == 12);
        n_encoded = answer["reuse"]["tokens_encoded"];
    }
    CHECK(n_encoded < 20);
}

TEST_CASE("four who type at once are all answered, however little they mean to wait") {
    const SlowServer server;
    constexpr size_t n_typists = 4;
    std::vector<std::future<std::vector<json>>> typists;
    for (size_t i = 0; i < n_typists; ++i) {
        typists.push_back(std::async(std::launch::async, [&server, i] {
            httplib::Client client("127.0.0.1", server.server->port());
            client.set_read_timeout(120);
            std::vector<json> answers;
            for (const char* typed : {"", "f", "fo"}) {
                const std::string file = "file = " + std::string(200, static_cast<char>('a' + i)) + "\n";
                const json body = greedy({{"input_prefix", file + many_lines()},
                                          {"input_suffix", suffix},
                                          {"prompt", typed},
                                          {"t_max_prompt_ms", 1}});
                const auto result = client.Post("/infill", body.dump(), "application/json");
                answers.push_back(result ? json::parse(result->body) : json());
            }
            return answers;
        }));
    }
    for (auto& typist : typists) {
        for (const json& answer : typist.get()) {
            CAPTURE(answer.dump());
            CHECK(answer.value("tokens_predicted", 0) == 12);
        }
    }
}

} // namespace pie
