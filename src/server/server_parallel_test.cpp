// Requests that come at the same time from one address, and are alike: a program that sends many at once,
// several people behind one address, and an editor whose user types on.

#include "server/test_chat_model.h"
#include "server/test_server.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::greedy;
using test::Occupation;
using test::prefix;
using test::suffix;
using test::TestServer;

// As llama.vim and llama.vscode say it.
json typed(const std::string& text, json fields = json::object()) {
    fields["input_prefix"] = prefix;
    fields["prompt"] = text;
    fields["input_suffix"] = suffix;
    fields["id_slot"] = 0;
    fields["t_max_predict_ms"] = 1'000'000;
    return fields;
}

size_t n_waiting(const TestServer& server) {
    size_t n = 0;
    for (const json& slot : json::parse(server.get("/slots").body)) {
        n += slot["requests_waiting"].get<size_t>();
    }
    return n;
}

// Each comes after the one before it, and none is served until all are there.
std::vector<httplib::Response> ask_together(const TestServer& server, const std::string& path,
                                            const std::vector<json>& bodies) {
    std::vector<std::future<httplib::Response>> futures;
    {
        const Occupation occupation(*server.model);
        for (const json& body : bodies) {
            futures.push_back(std::async(std::launch::async, [&server, path, text = body.dump()] {
                httplib::Client client("127.0.0.1", server.server->port());
                client.set_read_timeout(120);
                return *client.Post(path, text, "application/json");
            }));
            const auto is_over = [](const auto& future) {
                return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
            };
            const bool is_there = TestServer::eventually(
                [&] { return n_waiting(server) == futures.size() || std::ranges::any_of(futures, is_over); });
            CHECK(is_there);
        }
    }
    std::vector<httplib::Response> answers;
    answers.reserve(futures.size());
    for (auto& future : futures) {
        answers.push_back(future.get());
    }
    return answers;
}

// What each is answered by a server that does nothing else, and that holds nothing.
void check_in_full(const TestServer& server, const std::string& path, std::vector<json> bodies,
                   const char* pointer) {
    const auto answers = ask_together(server, path, bodies);
    for (size_t i = 0; i < bodies.size(); ++i) {
        CAPTURE(bodies[i].dump());
        CAPTURE(answers[i].body);
        REQUIRE(answers[i].status == 200);
        bodies[i]["cache_prompt"] = false;
        const json expected = server.ask(path, bodies[i]);
        const json::json_pointer place(pointer);
        CHECK(json::parse(answers[i].body)[place] == expected[place]);
        CHECK_FALSE(expected[place].get<std::string>().empty());
    }
}

bool holds_line(const std::string& text) {
    const size_t begin = text.find_first_not_of(" \t\r\n");
    const size_t end = text.find('\n', begin);
    return begin != std::string::npos && end != std::string::npos && end + 1 < text.size();
}

// A request whose answer has a second line.
json of_several_lines(const TestServer& server) {
    json body = typed("x", {{"temperature", 5}, {"n_predict", 64}, {"cache_prompt", false}});
    for (int seed = 1; seed < 200; ++seed) {
        body["seed"] = seed;
        if (holds_line(server.ask("/infill", body)["content"].get<std::string>())) {
            return body;
        }
    }
    FAIL("no seed lets the model write two lines");
    return body;
}

} // namespace

TEST_CASE("prompts that differ in a number are all answered in full") {
    const TestServer server;
    std::vector<json> completions;
    std::vector<json> fills;
    for (const int number : {1, 12, 123, 2, 3, 4}) { // some go on where another ends
        const std::string prompt = prefix + "range(0, " + std::to_string(number);
        completions.push_back(greedy({{"prompt", prompt}}));
        fills.push_back(greedy({{"input_prefix", prompt}, {"input_suffix", suffix}, {"id_slot", 0}}));
    }
    check_in_full(server, "/v1/completions", completions, "/choices/0/text");
    check_in_full(server, "/completion", completions, "/content");
    check_in_full(server, "/infill", fills, "/content");
}

TEST_CASE("conversations that share their system text are all answered in full") {
    const TestServer server({}, {.n_ctx = 2048}, test::chat_model());
    std::vector<json> chats;
    for (const char* question : {"What is 2 + 2?", "What is 2 + 3?", "What is 2?", "What is 2"}) {
        const json messages = {
            {{"role", "system"}, {"content", "Be brief, and say what is asked for alone."}},
            {{"role", "user"}, {"content", question}}};
        chats.push_back(greedy({{"messages", messages}}));
    }
    check_in_full(server, "/v1/chat/completions", chats, "/choices/0/message/content");
}

TEST_CASE("two who edit alike files behind one address are answered in full") {
    const TestServer server;
    check_in_full(server, "/infill", {greedy(typed("row")), greedy(typed("column")), greedy(typed("cell"))},
                  "/content");
}

TEST_CASE("a stream is not cut by a request that is like its own") {
    const TestServer server;
    const std::vector<json> bodies = {greedy({{"prompt", prefix + "1"}, {"stream", true}}),
                                      greedy({{"prompt", prefix + "12"}, {"stream", true}})};
    for (const httplib::Response& answer : ask_together(server, "/v1/completions", bodies)) {
        CHECK(answer.status == 200);
        CHECK(answer.body.find(R"("finish_reason":"length")") != std::string::npos);
        CHECK(answer.body.ends_with("data: [DONE]\n\n"));
    }
}

TEST_CASE("an editor's request that is typed over ends with its line, and is answered with it") {
    const TestServer server;
    json body = of_several_lines(server);
    const std::string whole = server.ask("/infill", body)["content"];
    body["cache_prompt"] = true;
    json newer = body;
    newer["prompt"] = "xy";
    const auto answers = ask_together(server, "/infill", {body, newer});
    REQUIRE(answers[0].status == 200);
    REQUIRE(answers[1].status == 200);
    const json cut = json::parse(answers[0].body);
    const std::string line = cut["content"];
    CHECK(whole.starts_with(line));
    CHECK(line.size() < whole.size());
    CHECK(line.find('\n', line.find_first_not_of(" \t\r\n")) != std::string::npos);
    CHECK(cut["stop_type"] == "limit");
    // The newer one, and one whose sender sets no time, are not.
    newer["cache_prompt"] = false;
    CHECK(json::parse(answers[1].body)["content"] == server.ask("/infill", newer)["content"]);
    body.erase("t_max_predict_ms");
    newer.erase("t_max_predict_ms");
    newer["cache_prompt"] = true;
    CHECK(json::parse(ask_together(server, "/infill", {body, newer})[0].body)["content"] == whole);
}

} // namespace pie
