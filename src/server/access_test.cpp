#include "base/test_fixtures.h"
#include "server/access.h"
#include "server/client_config.h"
#include "server/server.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

namespace pie {

TEST_CASE("addresses of this machine alone") {
    for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1"}) {
        CAPTURE(host);
        CHECK(is_loopback(host));
    }
    for (const char* host :
         {"0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1.example.org", "1127.0.0.1"}) {
        CAPTURE(host);
        CHECK_FALSE(is_loopback(host));
    }
    for (const char* name : {"localhost:8012", "127.0.0.1:8012", "127.0.0.1", "[::1]:8012", "[::1]", ""}) {
        CAPTURE(name);
        CHECK(is_local_name(name));
    }
    for (const char* name :
         {"example.org", "example.org:8012", "localhost.example.org", "[::2]:1", "[::1", ":8012"}) {
        CAPTURE(name);
        CHECK_FALSE(is_local_name(name));
    }
}

TEST_CASE("names that were let in beside this machine's own") {
    const std::vector<std::string> names = {"host.docker.internal", "fd00::1"};
    for (const char* host : {"host.docker.internal", "host.docker.internal:8012", "[fd00::1]:8012"}) {
        CAPTURE(host);
        CHECK(is_host(host, names));
    }
    for (const char* host :
         {"", "docker.internal", "host.docker.internal.example.org", "[fd00::1", ":8012"}) {
        CAPTURE(host);
        CHECK_FALSE(is_host(host, names));
    }
}

TEST_CASE("a key matches itself and nothing else") {
    const ApiKey key("secret");
    CHECK(key.is_set());
    CHECK(key.matches("secret"));
    for (const char* other : {"", "Secret", "secre", "secrets", "secret "}) {
        CHECK_FALSE(key.matches(other));
    }
    CHECK_FALSE(ApiKey().is_set());
    CHECK_FALSE(ApiKey("").is_set());
    CHECK_FALSE(ApiKey().matches(""));
}

TEST_CASE("a key from a file that others cannot read") {
    const ScratchFolder scratch;
    const auto write = [&](const std::string& content, std::filesystem::perms permissions) {
        const auto path = scratch.path / "key";
        std::ofstream(path) << content;
        std::filesystem::permissions(path, permissions);
        return ApiKey::from_file(path);
    };
    using std::filesystem::perms;
    const perms own = perms::owner_read | perms::owner_write;
    CHECK(write("secret\n", own)->matches("secret"));
    CHECK(write("secret", own)->matches("secret"));
    CHECK(write("", own).error().code == ErrorCode::invalid_argument);
    CHECK(write("\nsecret", own).error().code == ErrorCode::invalid_argument);
    CHECK(write("secret", own | perms::group_read).error().code == ErrorCode::invalid_argument);
    CHECK(ApiKey::from_file(scratch.path / "none").error().code == ErrorCode::not_found);
}

TEST_CASE("other machines are let in with a key, or when that was said") {
    CHECK(check_reach({}));
    CHECK_FALSE(check_reach({.host = "0.0.0.0"}).has_value());
    CHECK(check_reach({.host = "0.0.0.0", .api_key = ApiKey("secret")}));
    CHECK(check_reach({.host = "0.0.0.0", .insecure = true}));
}

TEST_CASE("what editors' settings need") {
    for (const std::string& editor : configurable_editors()) {
        CAPTURE(editor);
        const auto config =
            editor_config(editor, {.address = "http://127.0.0.1:9", .model = "the-model", .api_key = ""});
        REQUIRE(config);
        CHECK(config->find("http://127.0.0.1:9") != std::string::npos);
        CHECK(config->find("{0}") == std::string::npos);
    }
    CHECK(
        editor_config("zed", {.address = "x", .model = "the-model", .api_key = ""})->find("\"the-model\"") !=
        std::string::npos);
    CHECK_FALSE(editor_config("ed", {.address = "x", .model = "y", .api_key = ""}).has_value());
}

} // namespace pie
