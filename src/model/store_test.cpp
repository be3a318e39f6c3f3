#include "base/files.h"
#include "base/sha256.h"
#include "base/test_fixtures.h"
#include "model/loopback_hub.h"
#include "model/store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace fs = std::filesystem;
using pie::ErrorCode;
using pie::HubSource;

namespace {

const std::string content(300'000, 'g');
const char* const target = "/user/repo/resolve/main/a.gguf";

std::string sha256_of(const std::string& bytes) {
    pie::Sha256 digest;
    digest.update(bytes);
    return digest.hex_digest();
}

struct Store {
    pie::ScratchFolder scratch;
    pie::LoopbackHub hub;
    pie::StoreSettings settings;
    std::string told;
    pie::Progress progress{{pie::ProgressStyle::lines, 80, [this](std::string_view text) { told += text; }}};
    pie::CatalogueEntry entry = {
        "a", "", "", content.size(), sha256_of(content), {HubSource{"user/repo", "a.gguf"}}};
    fs::path gguf = scratch.path / "models" / "a.gguf";

    Store() {
        settings.folder = scratch.path / "models";
        settings.hub.endpoint = hub.endpoint();
        settings.hub.retry_pause = std::chrono::milliseconds(1);
        hub.serve(target, {content});
    }

    pie::Result<fs::path> pull() { return pie::pull_model(entry, settings, progress); }
    pie::Error failure() {
        const auto pulled = pull();
        REQUIRE_FALSE(pulled);
        CHECK_FALSE(fs::exists(gguf));
        return pulled.error();
    }
    std::string stored() const { return pie::read_file(gguf, 1 << 20).value_or("(no file)"); }
    // All but the lock file, which stays.
    size_t files_left() const {
        size_t count = 0;
        for (const auto& file : fs::recursive_directory_iterator(settings.folder)) {
            count += file.path().extension() == ".lock" ? 0 : 1;
        }
        return count;
    }
};

bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a pulled model lies alone in the store, and is not fetched again") {
    Store store;
    CHECK_FALSE(pie::is_pulled(store.entry, store.settings));
    CHECK(store.pull().value() == store.gguf);
    CHECK(store.stored() == content);
    CHECK(store.files_left() == 1);
    CHECK(pie::is_pulled(store.entry, store.settings));

    CHECK(store.pull().value() == store.gguf);
    CHECK(store.hub.seen().size() == 1);
}

TEST_CASE("a model that was damaged is fetched again") {
    Store store;
    REQUIRE(store.pull());
    REQUIRE(pie::write_file_atomic(store.gguf, std::string(content.size(), 'x')));
    REQUIRE(store.pull());
    CHECK(store.stored() == content);
    CHECK(contains(store.told, "was damaged: its sha256 is "));
}

TEST_CASE("a wrong sha256 deletes the download, and says what was expected and what came") {
    Store store;
    const std::string other(content.size(), 'x');
    store.hub.serve(target, {other});
    const pie::Error error = store.failure();
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(contains(error.message, "cannot pull 'a' from the hub's user/repo: its sha256 is " +
                                      sha256_of(other) + ", and should be " + store.entry.sha256));
    CHECK(store.files_left() == 0);
}

TEST_CASE("a source that fails is told in one line, and the next one is tried") {
    Store store;
    store.entry.sources = {HubSource{"user/missing", "a.gguf"}, HubSource{"user/wrong", "a.gguf"},
                           HubSource{"user/repo", "a.gguf"}};
    store.hub.serve("/user/wrong/resolve/main/a.gguf", {std::string(content.size(), 'x')});
    REQUIRE(store.pull());
    CHECK(store.stored() == content);
    CHECK(store.files_left() == 1);
    CHECK(std::count(store.told.begin(), store.told.end(), '\n') == 2);
    CHECK(contains(store.told, "the hub's user/missing: "));
    CHECK(contains(store.told, "trying the hub's user/repo instead\n"));
}

TEST_CASE("an interrupted download is kept under a name of its own, and resumed") {
    Store store;
    pie::Served broken = {content};
    broken.drop_after_bytes = 50'000;
    store.hub.serve(target, broken);
    CHECK(contains(store.failure().message, "broke off at 200/300 kB"));
    CHECK(fs::file_size(store.settings.folder / "a.gguf.partial") == 200'000);
    CHECK_FALSE(pie::is_pulled(store.entry, store.settings));

    store.hub.serve(target, {content});
    REQUIRE(store.pull());
    CHECK(store.hub.seen().back().range == "bytes=200000-");
    CHECK(store.stored() == content);
    CHECK(store.files_left() == 1);
}

TEST_CASE("a store that cannot be written, and one without room") {
    Store store;
    const auto seen_before = store.hub.seen().size();
    REQUIRE(pie::write_file_atomic(store.scratch.path / "file", ""));
    store.settings.folder = store.scratch.path / "file" / "models";
    CHECK(contains(store.failure().message,
                   "cannot create the folder '" + store.settings.folder.string() + "'"));

    store.settings.folder = store.scratch.path / "models";
    store.entry.size_bytes = uint64_t{1} << 62;
    const pie::Error error = store.failure();
    CHECK(error.code == ErrorCode::io);
    CHECK(contains(error.message, "it takes 4611686 TB in '" + store.settings.folder.string() + "'"));
    CHECK(store.hub.seen().size() == seen_before);
}

TEST_CASE("a disk that fills up ends the pull, and no other source is tried") {
    Store store;
    store.entry.sources.emplace_back(HubSource{"user/other", "a.gguf"});
    {
        const pie::FileSizeLimit limit(65'536);
        CHECK(contains(store.failure().message, "a.gguf.partial'"));
    }
    CHECK(store.hub.seen().size() == 1);
    REQUIRE(store.pull());
    CHECK(store.stored() == content);
}

TEST_CASE("pulls at the same time wait for each other") {
    Store store;
    std::vector<std::thread> pulls;
    pulls.reserve(4);
    std::atomic<int> pulled{0};
    for (int i = 0; i < 4; ++i) {
        pulls.emplace_back([&] {
            pie::Progress silent;
            pulled += pie::pull_model(store.entry, store.settings, silent).has_value() ? 1 : 0;
        });
    }
    for (std::thread& thread : pulls) {
        thread.join();
    }
    CHECK(pulled == 4);
    CHECK(store.hub.seen().size() == 1);
    CHECK(store.stored() == content);
    CHECK(store.files_left() == 1);
}

TEST_CASE("what -m names") {
    Store store;
    const auto resolved = [&](const std::string& name) { return pie::resolve_model(name, store.settings); };
    const auto not_pulled = resolved("smollm2-135m");
    REQUIRE_FALSE(not_pulled);
    CHECK(not_pulled.error().code == ErrorCode::not_found);
    CHECK(contains(not_pulled.error().message, "pull it with 'pie model pull smollm2-135m'"));

    const fs::path own = store.scratch.path / "own.gguf";
    REQUIRE(pie::write_file_atomic(own, "GGUF"));
    CHECK(resolved(own.string()).value() == own);

    const auto folder = resolved(store.scratch.path.string());
    REQUIRE_FALSE(folder);
    CHECK(folder.error().code == ErrorCode::invalid_argument);

    for (const char* name : {"no-such-model", "no/such/file.gguf", ""}) {
        const auto unknown = resolved(name);
        REQUIRE_FALSE(unknown);
        CHECK(unknown.error().code == ErrorCode::not_found);
        CHECK(contains(unknown.error().message,
                       "neither a GGUF file nor a model of the catalogue (qwen2.5-coder-0.5b, "));
    }

    // A model of the right size counts as pulled; nothing is read for that.
    const auto* entry = pie::find_in_catalogue("smollm2-135m");
    fs::create_directories(store.settings.folder);
    REQUIRE(pie::write_file_atomic(pie::path_in_store(*entry, store.settings), ""));
    CHECK_FALSE(resolved("smollm2-135m"));
    fs::resize_file(pie::path_in_store(*entry, store.settings), entry->size_bytes);
    CHECK(resolved("smollm2-135m").value() == store.settings.folder / "smollm2-135m.gguf");
}

TEST_CASE("the environment says where the store and the hub are") {
    const pie::EnvironmentVariable cache("XDG_CACHE_HOME", "/cache");
    const pie::EnvironmentVariable home("HOME", "/folder");
    const pie::EnvironmentVariable endpoint("HF_ENDPOINT", "http://mirror/");
    const pie::EnvironmentVariable token("HF_TOKEN", nullptr);
    CHECK(pie::store_settings_from_environment()->folder == "/cache/pie/models");
    CHECK(pie::store_settings_from_environment()->hub.endpoint == "http://mirror");
    CHECK(pie::store_settings_from_environment()->hub.token.empty());
    cache.set("not/absolute");
    endpoint.set("");
    token.set("t");
    CHECK(pie::store_settings_from_environment()->folder == "/folder/.cache/pie/models");
    CHECK(pie::store_settings_from_environment()->hub.endpoint == "https://huggingface.co");
    CHECK(pie::store_settings_from_environment()->hub.token == "t");
    cache.set(nullptr);
    home.set("");
    CHECK_FALSE(pie::store_settings_from_environment());
}
