// What the documentation says of endpoints is what the server answers.

#include "server/test_chat_model.h"
#include "server/test_server.h"
#include "support/markdown.h"

#include <optional>
#include <regex>
#include <string>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

struct DocumentedRequest {
    std::string method;
    std::string path;
    std::string body; // empty where none is given
};

std::optional<DocumentedRequest> request_in(const std::string& code) {
    static const std::regex plain(R"((GET|POST|PUT|PATCH|DELETE) +(/\S*)(?: +(\{.*\}))?)");
    static const std::regex curl(R"(curl http://127\.0\.0\.1:8012(/\S*)(?: -d '(.*)')?)");
    std::smatch found;
    if (std::regex_match(code, found, plain)) {
        return DocumentedRequest{found[1], found[2], found[3]};
    }
    if (std::regex_match(code, found, curl)) {
        return DocumentedRequest{found[2].matched ? "POST" : "GET", found[1], found[2]};
    }
    return std::nullopt;
}

// Of all documents, in their order. `examples` are in blocks, and can be sent as they are.
struct Documented {
    std::vector<DocumentedRequest> endpoints;
    std::vector<DocumentedRequest> examples;
};

Documented documented_requests() {
    Documented all;
    for (const auto& document : testing::documents(PIE_PROJECT_FOLDER)) {
        const testing::MarkdownCode code = testing::code_in_markdown(document);
        for (const auto& spans : code.spans) {
            for (const std::string& span : spans) {
                if (auto request = request_in(span)) {
                    all.endpoints.push_back(*std::move(request));
                }
            }
        }
        for (const std::string& line : code.lines) {
            if (auto request = request_in(line)) {
                all.examples.push_back(*std::move(request));
            } else {
                CHECK_FALSE(line.starts_with("curl "));
            }
        }
    }
    return all;
}

struct DocumentedServer : TestServer {
    explicit DocumentedServer(const ScratchFolder& folder)
        : TestServer({}, {.n_ctx = 2048, .snapshot_folder = folder.path}, test::chat_model()) {}

    httplib::Response send(const DocumentedRequest& request) const {
        httplib::Request sent;
        sent.method = request.method;
        sent.path = request.path;
        sent.body = request.body;
        if (!request.body.empty()) {
            sent.set_header("Content-Type", "application/json");
        }
        const auto result = client->send(sent);
        REQUIRE(result);
        return *result;
    }

    // What the endpoints with a name in them need: a document, and a slot that was saved.
    void prepare() const {
        REQUIRE(send({"PUT", "/v1/documents/a.c", R"({"text":"int a;\n"})"}).status == 200);
        REQUIRE(send({"POST", "/infill", R"({"input_prefix":"int a","input_suffix":";","n_predict":1})"})
                    .status == 200);
    }
};

void replace_name(std::string& path, const std::string& name, const std::string& with) {
    if (const size_t at = path.find(name); at != std::string::npos) {
        path.replace(at, name.size(), with);
    }
}

} // namespace

TEST_CASE("every endpoint that the documentation names is there") {
    const ScratchFolder folder;
    const DocumentedServer server(folder);
    const auto endpoints = documented_requests().endpoints;
    CHECK(endpoints.size() > 25);
    for (DocumentedRequest request : endpoints) {
        CAPTURE(request.method);
        CAPTURE(request.path);
        server.prepare();
        replace_name(request.path, "/slots/ID", "/slots/0");
        replace_name(request.path, "/ID", "/a.c");
        replace_name(request.path, "NAME", "tiny");
        const auto response = server.send(request);
        CHECK(response.status != 404);
        CHECK(response.status != 405);
        CHECK(response.status < 500);
    }
    CHECK(server.metrics().find("endpoint=\"other\"") == std::string::npos);
}

TEST_CASE("every request that the documentation shows is answered") {
    const ScratchFolder folder;
    const DocumentedServer server(folder);
    const auto examples = documented_requests().examples;
    CHECK(examples.size() >= 8);
    for (const DocumentedRequest& request : examples) {
        CAPTURE(request.path);
        CAPTURE(request.body);
        const auto response = server.send(request);
        CAPTURE(response.body);
        CHECK(response.status == 200);
    }
}

} // namespace pie
