#include "base/files.h"
#include "base/sha256.h"
#include "base/test_fixtures.h"
#include "model/hub.h"
#include "model/loopback_hub.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>

namespace fs = std::filesystem;
using pie::ErrorCode;
using pie::HubFile;

namespace {

std::string chosen(const std::vector<const char*>& paths, const char* quant) {
    std::vector<HubFile> files;
    files.reserve(paths.size());
    for (const char* path : paths) {
        files.push_back({path, 1, ""});
    }
    const auto file = pie::choose_gguf(files, quant);
    return file ? file->path : "(" + file.error().message + ")";
}

struct HubStore {
    pie::ScratchFolder scratch;
    pie::LoopbackHub hub;
    pie::StoreSettings settings;
    pie::Progress progress;

    HubStore() {
        settings.folder = scratch.path / "models";
        settings.hub.endpoint = hub.endpoint();
        settings.hub.retry_pause = std::chrono::milliseconds(1);
    }

    // A repository "user/repo" whose files hold their own names.
    void serve(const std::vector<std::string>& paths, const std::string& sha256 = "") {
        std::string list;
        for (const std::string& path : paths) {
            pie::Sha256 digest;
            digest.update(path);
            list += fmt::format(R"({}{{"type": "file", "path": "{}", "size": {}, "lfs": {{"oid": "{}"}}}})",
                                list.empty() ? "" : ",", path, path.size(),
                                sha256.empty() ? digest.hex_digest() : sha256);
            hub.serve("/user/repo/resolve/main/" + path, {path});
        }
        hub.serve("/api/models/user/repo/tree/main?recursive=true", {"[" + list + "]"});
    }

    pie::Result<fs::path> resolve(const char* spec) { return pie::resolve_hub(spec, settings, progress); }

    // The file that was found, checked to hold what the hub serves; or the error.
    std::string name_of(const char* spec) {
        const auto path = resolve(spec);
        if (!path) {
            return "(" + path.error().message + ")";
        }
        std::string name = path->lexically_relative(settings.folder / "hub" / "user" / "repo").string();
        CHECK(pie::read_file(*path, 1000).value() == name);
        return name;
    }
};

} // namespace

TEST_CASE("the GGUF of a quantisation") {
    const std::vector<const char*> plain = {"README.md",     "a-Q8_0.gguf",          "a-q4_k_m.gguf",
                                            "a-Q4_K_S.gguf", "mmproj-a-Q4_K_M.gguf", "a-imatrix.gguf"};
    CHECK(chosen(plain, "") == "a-q4_k_m.gguf");
    CHECK(chosen(plain, "Q8_0") == "a-Q8_0.gguf");
    CHECK(chosen(plain, "q4_k_s") == "a-Q4_K_S.gguf");
    CHECK(chosen(plain, "Q4_K") == "(it has no GGUF of quantisation 'Q4_K', but a-Q4_K_S.gguf, a-Q8_0.gguf, "
                                   "a-q4_k_m.gguf)");
    CHECK(chosen({"a-IQ4_XS.gguf", "a-Q4_XS.gguf"}, "Q4_XS") == "a-Q4_XS.gguf");
    CHECK(chosen({"a_Q4_K_M.gguf"}, "Q4_K_M") == "a_Q4_K_M.gguf");
    CHECK(chosen({"Q8_0/a.gguf", "Q4_K_M/a.gguf"}, "Q8_0") == "Q8_0/a.gguf");
    CHECK(chosen({"b.Q5_0.gguf", "b.F16.gguf"}, "") == "b.F16.gguf");
    CHECK(chosen({"README.md"}, "") == "(it has no GGUF file)");
}

TEST_CASE("split files are refused, unless another file fits") {
    const std::vector<const char*> split = {"a-Q4_K_M-00001-of-00002.gguf", "a-Q4_K_M-00002-of-00002.gguf",
                                            "a-Q2_K.gguf"};
    CHECK(chosen(split, "").find("(its GGUF is split over several files (a-Q4_K_M-00001-of-00002.gguf …)") ==
          0);
    CHECK(chosen(split, "Q2_K") == "a-Q2_K.gguf");
    CHECK(pie::choose_gguf({{"a-Q4_K_M-00001-of-00002.gguf", 1, ""}}, "").error().code ==
          ErrorCode::unsupported);
}

TEST_CASE("a model of the hub is fetched once, and found without the hub after that") {
    HubStore store;
    store.serve({"a-Q8_0.gguf", "a-Q4_K_M.gguf", "d/a-Q2_K.gguf"});
    CHECK(store.name_of("user/repo") == "a-Q4_K_M.gguf");
    CHECK(store.name_of("user/repo:Q2_K") == "d/a-Q2_K.gguf");
    CHECK(store.hub.seen().size() == 4);

    store.settings.hub.endpoint = pie::address_without_server();
    CHECK(store.name_of("user/repo") == "a-Q4_K_M.gguf");
    CHECK(store.name_of("user/repo:q2_k") == "d/a-Q2_K.gguf");
    CHECK(store.name_of("user/repo:Q8_0").find("cannot be reached") != std::string::npos);
}

TEST_CASE("without the default quantisation the hub knows which file is the first") {
    HubStore store;
    store.serve({"a-Q8_0.gguf", "a-Q5_0.gguf"});
    CHECK(store.name_of("user/repo:Q8_0") == "a-Q8_0.gguf");
    CHECK(store.name_of("user/repo") == "a-Q5_0.gguf");
    store.settings.hub.endpoint = pie::address_without_server();
    CHECK(store.name_of("user/repo") == "a-Q5_0.gguf");
}

TEST_CASE("wrong names and wrong lists") {
    HubStore store;
    for (const char* spec : {"", "repo", "user/repo/more", "user/..", "../repo", "user/repo:", "user/re po",
                             "/repo", "user:Q8_0/repo", "user/.repo", "user/repo:a/b"}) {
        CAPTURE(spec);
        const auto refused = store.resolve(spec);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_argument);
    }
    CHECK(store.name_of("user/missing").find("does not have the repository 'user/missing'") !=
          std::string::npos);

    store.serve({"a-Q8_0.gguf"});
    CHECK(store.name_of("user/repo:Q9") ==
          "(cannot use the hub's 'user/repo': it has no GGUF of quantisation 'Q9', but a-Q8_0.gguf)");

    // A path that leads out of the store, and a checksum that is not the file's.
    for (const char* path : {"../../../escaped-Q4_K_M.gguf", "/tmp/escaped-Q4_K_M.gguf"}) {
        store.serve({path});
        const auto escaped = store.resolve("user/repo");
        REQUIRE_FALSE(escaped);
        CHECK(escaped.error().code == ErrorCode::corrupt);
    }
    store.serve({"a-Q8_0.gguf"}, std::string(64, '0'));
    const auto wrong = store.resolve("user/repo");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == ErrorCode::corrupt);
    CHECK(wrong.error().message.find("should be " + std::string(64, '0')) != std::string::npos);
}
