// Thousands of requests that nobody meant to send: each is answered, and the server serves on. The seed is 1,
// or what PIE_FUZZ_SEED says; PIE_FUZZ_COUNT says how many.

#include "server/chat_request.h"
#include "server/client_requests.h"
#include "server/document_request.h"
#include "server/request.h"
#include "server/test_chat_model.h"
#include "server/test_server.h"

#include <array>
#include <cstdlib>
#include <random>
#include <string>

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

class Nonsense {
  public:
    explicit Nonsense(uint32_t seed) : random_(seed) {}

    size_t below(size_t n) { return random_() % n; }

    template <typename Container>
    const auto& pick(const Container& container) {
        return container[below(std::size(container))];
    }

    std::string body() {
        std::string text = below(2) == 0 ? std::string(pick(valid)) : with_wrong_field().dump();
        if (below(2) == 0) {
            mutate(text);
        }
        return text;
    }

    std::string http() {
        std::string request =
            "POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        switch (below(8)) {
        case 0:
            request += "Content-Length: 999999999999999999999\r\n\r\n{}";
            break;
        case 1:
            request += "Content-Length: -1\r\n\r\n{}";
            break;
        case 2:
            request += "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n";
            break;
        case 3:
            request += "X-Long: " + std::string(20'000, 'x') + "\r\n\r\n";
            break;
        case 4:
            for (int i = 0; i < 300; ++i) {
                request += "X-" + std::to_string(i) + ": y\r\n";
            }
            request += "\r\n";
            break;
        case 5:
            request += "Content-Length: 100\r\n\r\n{\"input"; // and no more
            break;
        case 6:
            request += "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}";
            break;
        default:
            request += "Content-Length: 2\r\n\r\n{}";
            mutate(request);
            break;
        }
        return request;
    }

  private:
    json wrong_value() {
        switch (below(14)) {
        case 0:
            return nullptr;
        case 1:
            return true;
        case 2:
            return -1;
        case 3:
            return 1e300;
        case 4:
            return static_cast<int64_t>(random_()) << 32;
        case 5:
            return std::numeric_limits<uint64_t>::max();
        case 6:
            return "";
        case 7:
            return std::string(below(3000), 'x');
        case 8:
            return json::array();
        case 9:
            return json::object();
        case 10:
            return json::array({1, "a", nullptr, json::array()});
        case 11:
            return json{{"text", 7}};
        case 12:
            return json::array(
                {{{"text", "a"}, {"filename", "\u0000"}}, {{"begin", -1}, {"end", 2}, {"text", "x"}}});
        default:
            return static_cast<double>(below(100'000)) / 7.0;
        }
    }

    json with_wrong_field() {
        json object = json::parse(pick(valid));
        for (size_t i = 0; i <= below(3); ++i) {
            const auto field = static_cast<std::ptrdiff_t>(below(object.size()));
            const std::string name = std::next(object.begin(), field).key();
            if (below(4) == 0) {
                object.erase(name);
                if (object.empty()) {
                    break;
                }
            } else {
                object[below(4) == 0 ? std::string(pick(fields)) : name] = wrong_value();
            }
        }
        return object;
    }

    void mutate(std::string& text) {
        for (size_t i = 0; i <= below(6) && !text.empty(); ++i) {
            const size_t at = below(text.size());
            const size_t length = std::min(below(20), text.size() - at);
            switch (below(6)) {
            case 0:
                text[at] = static_cast<char>(random_());
                break;
            case 1:
                text.erase(at, length);
                break;
            case 2:
                text.insert(at, text.substr(at, length));
                break;
            case 3:
                text.insert(at, std::string(pick(pieces)));
                break;
            case 4:
                text.resize(at);
                break;
            default:
                text.insert(at, std::string(below(200), pick(repeated)));
                break;
            }
        }
    }

    static constexpr std::array<std::string_view, 9> valid = {
        test::vim_infill,
        test::vim_warm_up,
        test::vscode_infill,
        test::vscode_warm_up,
        R"({"prompt":"def f():\n","max_tokens":3,"suffix":"\n","temperature":0.2,"n":2,"stop":["\n\n"],"stream":false})",
        R"({"prompt":[1,2,"abc",3],"n_predict":3,"n_probs":2,"return_tokens":true,"stream":true,"seed":3})",
        R"({"text":"a = 1\nb = 2\n","cursor":3,"version":1,"context":[{"filename":"f","text":"t"}],"content":"x","tokens":[1]})",
        R"({"version":2,"edits":[{"begin":1,"end":2,"text":"zz"}],"cursor":3,"n_predict":2})",
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"b"}],"max_tokens":3,"logprobs":true,"top_logprobs":2,"filename":"a"})"};
    static constexpr std::array<std::string_view, 10> fields = {
        "n_probs", "samplers", "stop", "prompt",        "input_extra",
        "edits",   "n_cmpl",   "n",    "repeat_last_n", "messages"};
    static constexpr std::array<std::string_view, 8> pieces = {
        "\\ud800", "\\u0000", "1e999", "null,", "\"stream\":true,", "\xc3\x28", "-0", "\r\n"};

    static constexpr std::string_view repeated = "[{\"0\\\xff ";

    std::mt19937 random_;
};

const ServerOptions patient = {.read_timeout_s = 1};
const ModelOptions small = {.n_ctx = 256, .n_predict_max = 4, .heal_when_idle = false};

ModelOptions small_with(const std::filesystem::path& snapshots) {
    ModelOptions options = small;
    options.snapshot_folder = snapshots;
    return options;
}

} // namespace

TEST_CASE("parsers survive nonsense") {
    const uint32_t seed = number_from_environment("PIE_FUZZ_SEED", 1);
    CAPTURE(seed);
    Nonsense nonsense(seed);
    for (unsigned i = 0; i < number_from_environment("PIE_FUZZ_COUNT", 5000); ++i) {
        const std::string body = nonsense.body();
        CAPTURE(body);
        const auto check = [](const auto& request) {
            if (!request) {
                const ErrorCode code = request.error().code;
                CHECK((code == ErrorCode::invalid_argument || code == ErrorCode::unsupported));
            }
        };
        check(parse_fill_request(body));
        check(parse_prompt_request(body));
        check(parse_tokenize_request(body));
        check(parse_detokenize_request(body));
        check(parse_put_document(body));
        check(parse_patch_document(body));
        check(parse_complete_document(body));
        check(parse_chat_request(body));
    }
}

TEST_CASE("the server answers nonsense and serves on") {
    const uint32_t seed = number_from_environment("PIE_FUZZ_SEED", 1);
    CAPTURE(seed);
    const ScratchFolder snapshots;
    const TestServer server(patient, small_with(snapshots.path), test::chat_model());
    Nonsense nonsense(seed);
    size_t n_refused = 0;
    size_t n_served = 0;
    for (unsigned i = 0; i < number_from_environment("PIE_FUZZ_COUNT", 1000); ++i) {
        const std::string body = nonsense.body();
        CAPTURE(body);
        httplib::Result result;
        switch (nonsense.below(12)) {
        case 0:
            result = server.client->Put("/v1/documents/a", body, "application/json");
            break;
        case 1:
            result = server.client->Patch("/v1/documents/a", body, "application/json");
            break;
        case 2:
            result = server.client->Post("/v1/documents/a/complete", body, "application/json");
            break;
        case 3:
            result = server.client->Post("/tokenize", body, "text/plain");
            break;
        case 4:
            result = server.client->Post("/detokenize", body, "application/json");
            break;
        case 5:
            result = server.client->Post("/v1/completions", body, "application/json");
            break;
        case 6:
            result = server.client->Post("/completion", body, "application/json");
            break;
        case 7:
            result = server.client->Post("/v1/chat/completions", body, "application/json");
            break;
        case 8:
            result = server.client->Post("/slots/0?action=restore", body, "application/json");
            break;
        default:
            result = server.client->Post("/infill", body, "application/json");
            break;
        }
        REQUIRE(result);
        CAPTURE(result->status);
        CAPTURE(result->body);
        if (result->status == 200) {
            ++n_served;
        } else {
            ++n_refused;
            const bool is_expected = (result->status >= 400 && result->status < 500) || result->status == 501;
            CHECK(is_expected);
            CHECK(json::parse(result->body).contains("error"));
        }
    }
    CHECK(n_served > 0);
    CHECK(n_refused > 0);
    CHECK(server.get("/health").status == 200);
}

TEST_CASE("broken HTTP is refused, and the server serves on") {
    const uint32_t seed = number_from_environment("PIE_FUZZ_SEED", 1);
    CAPTURE(seed);
    const TestServer server(patient, small);
    Nonsense nonsense(seed);
    for (int i = 0; i < 200; ++i) {
        const std::string request = nonsense.http();
        CAPTURE(request);
        const std::string answer =
            test::exchange_raw(server.server->port(), request, test::AfterSending::close_own_half);
        const bool is_expected = answer.empty() || answer.starts_with("HTTP/1.1 4") ||
                                 answer.starts_with("HTTP/1.1 5") || answer.starts_with("HTTP/1.1 2");
        CAPTURE(answer);
        CHECK(is_expected);
        CHECK(answer.find(" 500 ") == std::string::npos);
    }
    CHECK(server.get("/health").status == 200);
}

} // namespace pie
