#include "base/files.h"
#include "base/interrupt.h"
#include "base/test_fixtures.h"
#include "model/download.h"
#include "model/loopback_hub.h"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace fs = std::filesystem;
using pie::ErrorCode;
using pie::FetchFault;
using pie::LoopbackHub;
using pie::RangeSupport;
using pie::Served;

namespace {

const char* const target = "/user/repo/resolve/main/some%20folder/a.gguf";
const pie::HubSource source = {"user/repo", "some folder/a.gguf"};

// Every byte differs from its neighbours, so that a piece in the wrong place shows.
std::string content_of(size_t size_bytes) {
    std::string content;
    for (size_t i = 0; i < size_bytes; ++i) {
        content += static_cast<char>((i * 167 + i / 251) % 256);
    }
    return content;
}

struct Fetching {
    pie::ScratchFolder scratch;
    LoopbackHub hub;
    std::string content = content_of(1'000'000);
    fs::path partial = scratch.path / "a.gguf.partial";
    pie::HubSettings settings;
    pie::Progress progress;

    Fetching() {
        settings.endpoint = hub.endpoint();
        settings.retry_pause = std::chrono::milliseconds(1);
    }

    pie::FetchResult fetch() {
        const pie::CatalogueEntry entry = {"a", "", "", content.size(), "", {}};
        return pie::fetch_from_hub(source, entry, partial, settings, progress);
    }
    pie::Error failure(FetchFault fault) {
        const auto fetched = fetch();
        REQUIRE_FALSE(fetched);
        CHECK(fetched.error().fault == fault);
        return fetched.error().error;
    }
    std::string fetched() const { return pie::read_file(partial, uint64_t{1} << 30).value_or("(no file)"); }
    bool has_partial() const { return fs::exists(partial); }
};

bool contains(const pie::Error& error, const std::string& part) {
    INFO(error.message);
    return error.message.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a file comes whole, through a redirect that does not see the token") {
    Fetching fetching;
    LoopbackHub storage;
    fetching.settings.token = "secret";
    fetching.hub.serve(target, {"", 200, storage.endpoint() + "/blob"});
    storage.serve("/blob", {fetching.content});
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
    REQUIRE(fetching.hub.seen().size() == 1);
    CHECK(fetching.hub.seen()[0].authorization == "Bearer secret");
    REQUIRE(storage.seen().size() == 1);
    CHECK(storage.seen()[0].authorization.empty());
    CHECK(storage.seen()[0].range.empty());

    // What is whole is not asked for again.
    REQUIRE(fetching.fetch());
    CHECK(fetching.hub.seen().size() == 1);
}

TEST_CASE("a connection that breaks is taken up where it broke") {
    Fetching fetching;
    Served served = {fetching.content};
    served.drop_after_bytes = 400'000;
    fetching.hub.serve(target, served);
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
    const auto seen = fetching.hub.seen();
    REQUIRE(seen.size() == 3);
    CHECK(seen[0].range.empty());
    CHECK(seen[1].range == "bytes=400000-");
    CHECK(seen[2].range == "bytes=800000-");
}

TEST_CASE("a connection that keeps breaking is a fault of the source, and the next pull goes on") {
    Fetching fetching;
    Served served = {fetching.content};
    served.drop_after_bytes = 100'000;
    fetching.hub.serve(target, served);
    const pie::Error error = fetching.failure(FetchFault::source);
    CHECK(error.code == ErrorCode::io);
    CHECK(contains(error, "broke off at 0.40/1.00 MB"));
    CHECK(contains(error, "the next pull goes on from there"));
    CHECK(fetching.fetched() == fetching.content.substr(0, 400'000));

    fetching.hub.serve(target, {fetching.content});
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
    CHECK(fetching.hub.seen().back().range == "bytes=400000-");
}

TEST_CASE("where a server cannot resume, the download starts anew") {
    Fetching fetching;
    Served served = {fetching.content};
    served.ranges = RangeSupport::no;
    fetching.hub.serve(target, served);
    REQUIRE(pie::write_file_atomic(fetching.partial, fetching.content.substr(0, 1000)));
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);

    // So it does where more is here than there ever was.
    REQUIRE(pie::write_file_atomic(fetching.partial, fetching.content + "more"));
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
}

TEST_CASE("another file than the catalogue's is refused before it is downloaded") {
    Fetching fetching;
    fetching.hub.serve(target, {fetching.content + "more"});
    const pie::Error error = fetching.failure(FetchFault::source);
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(contains(error, "'some folder/a.gguf' of 'user/repo' is not of the 1000000 bytes"));
    CHECK_FALSE(fetching.has_partial());
}

TEST_CASE("a hub that refuses, and one that is not there") {
    Fetching fetching;
    struct Case {
        int status;
        ErrorCode code;
        const char* part;
    };
    for (const Case& expected :
         {Case{404, ErrorCode::not_found, "does not have the file 'some folder/a.gguf'"},
          Case{401, ErrorCode::not_found, "set HF_TOKEN"}, Case{503, ErrorCode::io, "answered 503"}}) {
        fetching.hub.serve(target, {"an error page", expected.status});
        const pie::Error error = fetching.failure(FetchFault::source);
        CHECK(error.code == expected.code);
        CHECK(contains(error, expected.part));
        CHECK_FALSE(fetching.has_partial());
    }
    fetching.settings.endpoint = pie::address_without_server();
    const pie::Error unreachable = fetching.failure(FetchFault::source);
    CHECK(unreachable.code == ErrorCode::io);
    CHECK(contains(unreachable, fetching.settings.endpoint + " cannot be reached"));

    fetching.settings.endpoint = "ftp://127.0.0.1";
    CHECK(contains(fetching.failure(FetchFault::local), "is not an http:// or https:// address"));
}

TEST_CASE("an interruption keeps what came") {
    Fetching fetching;
    Served served = {fetching.content};
    served.stall_after_bytes = 300'000;
    fetching.hub.serve(target, served);
    pie::install_interrupt_handlers();
    std::thread interrupter([&] {
        while (fetching.fetched().size() < 300'000) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        raise(SIGINT);
    });
    const pie::Error error = fetching.failure(FetchFault::local);
    interrupter.join();
    pie::clear_interrupt();
    CHECK(error.code == ErrorCode::cancelled);
    CHECK(fetching.fetched() == fetching.content.substr(0, 300'000));

    fetching.hub.serve(target, {fetching.content});
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
    CHECK(fetching.hub.seen().back().range == "bytes=300000-");
}

TEST_CASE("a full disk is this machine's fault, and keeps what came") {
    Fetching fetching;
    fetching.hub.serve(target, {fetching.content});
    {
        const pie::FileSizeLimit limit(65'536);
        const pie::Error error = fetching.failure(FetchFault::local);
        CHECK(error.code == ErrorCode::io);
        CHECK(contains(error, "cannot write '" + fetching.partial.string() + "'"));
    }
    CHECK(fetching.fetched() == fetching.content.substr(0, 65'536));
    REQUIRE(fetching.fetch());
    CHECK(fetching.fetched() == fetching.content);
}

TEST_CASE("the list of a repository's files") {
    LoopbackHub hub;
    pie::HubSettings settings;
    settings.endpoint = hub.endpoint();
    const char* listing = "/api/models/user/repo/tree/main?recursive=true";
    hub.serve(listing, {R"([{"type": "directory", "path": "d", "size": 0},
        {"type": "file", "path": "README.md", "size": 12},
        {"type": "file", "path": "d/a.gguf", "size": 7, "lfs": {"oid": "abc", "size": 7}}])"});
    const auto files = pie::list_hub_files("user/repo", settings);
    REQUIRE(files);
    REQUIRE(files->size() == 2);
    CHECK((*files)[0].path == "README.md");
    CHECK((*files)[0].sha256.empty());
    CHECK((*files)[1].path == "d/a.gguf");
    CHECK((*files)[1].size_bytes == 7);
    CHECK((*files)[1].sha256 == "abc");

    for (const char* broken : {"not json", "{}", R"([{"type": "file"}])", R"([1])"}) {
        CAPTURE(broken);
        hub.serve(listing, {broken});
        const auto refused = pie::list_hub_files("user/repo", settings);
        if (std::string(broken) == "{}") {
            CHECK(refused.value().empty());
        } else {
            REQUIRE_FALSE(refused);
            CHECK(refused.error().code == ErrorCode::corrupt);
        }
    }
    const auto missing = pie::list_hub_files("user/other", settings);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::not_found);
    CHECK(contains(missing.error(), "does not have the repository 'user/other'"));
}
