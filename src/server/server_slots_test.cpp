// Slots over a loopback connection: saved, restored, and found again after a restart.

#include "server/test_server.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace pie {
namespace {

using nlohmann::json;
using test::TestServer;

json infill_in_slot(const std::string& before, int slot = -1) {
    return {{"input_prefix", before},
            {"input_suffix", "\n    return result\n"},
            {"temperature", 0},
            {"n_predict", 12},
            {"id_slot", slot}};
}

std::string lines(const std::string& word) {
    std::string text;
    for (int i = 0; i < 20; ++i) {
        text += "    " + word + "_" + std::to_string(i * 7919) + " = " + std::to_string(i) + "\n";
    }
    return text;
}

struct SnapshotServer : TestServer {
    explicit SnapshotServer(const std::filesystem::path& folder, ServerOptions options = {})
        : TestServer(std::move(options), {.snapshot_folder = folder}) {}

    json error_of(const std::string& path, const json& body) const {
        const auto response = post(path, body.dump());
        CAPTURE(response.body);
        CHECK(response.body.find(scratch.path.parent_path().string()) == std::string::npos);
        json error = json::parse(response.body).at("error");
        CHECK(error["code"] == response.status);
        return error;
    }
};

const json named = {{"filename", "first.bin"}};

bool is_private(const std::filesystem::path& folder) {
    return std::filesystem::status(folder).permissions() == std::filesystem::perms::owner_all;
}

} // namespace

TEST_CASE("a restarted server finds the session of each file again") {
    const ScratchFolder folder;
    json first;
    json second;
    {
        const SnapshotServer server(folder.path);
        first = server.ask("/infill", infill_in_slot(lines("alpha")));
        second = server.ask("/infill", infill_in_slot(lines("beta")));
        REQUIRE(first["id_slot"] != second["id_slot"]);
        CHECK(first["reuse"]["tokens_encoded"] == first["reuse"]["tokens_context"]);
    }
    CHECK(is_private(folder.path / "slots"));
    const SnapshotServer server(folder.path);
    CHECK(json::parse(server.get("/slots").body).size() == 2);
    // In the other order, and one of them changed: neither takes the other's session.
    const json again = server.ask("/infill", infill_in_slot(lines("beta") + "    x = "));
    CHECK(again["id_slot"] == second["id_slot"]);
    CHECK(again["reuse"]["tokens_encoded"].get<int>() * 4 < again["reuse"]["tokens_context"].get<int>());
    const json same = server.ask("/infill", infill_in_slot(lines("alpha")));
    CHECK(same["id_slot"] == first["id_slot"]);
    CHECK(same["reuse"]["tokens_encoded"] == 0);
    CHECK(same["content"] == first["content"]);
}

TEST_CASE("what is written from time to time is there after a process was killed") {
    const ScratchFolder folder;
    const SnapshotServer server(folder.path, {.record_interval_s = 0.05});
    const json body = infill_in_slot(lines("alpha"));
    server.ask("/infill", body);
    const auto n_records = [&] {
        std::error_code none;
        return std::ranges::count_if(std::filesystem::directory_iterator(folder.path / "slots", none),
                                     [](const auto& file) { return file.path().extension() == ".json"; });
    };
    CHECK(TestServer::eventually([&] { return n_records() == 1; }));
    // Its successor, beside it; the snapshot is not there yet, so it encodes anew, in the right slot.
    const SnapshotServer successor(folder.path);
    CHECK(json::parse(successor.get("/slots").body).size() == 1);
    CHECK(successor.ask("/infill", body)["id_slot"] == 0);
}

TEST_CASE("records that cannot be read cost time alone") {
    const ScratchFolder folder;
    json first;
    {
        const SnapshotServer server(folder.path);
        first = server.ask("/infill", infill_in_slot(lines("alpha")));
    }
    for (const auto& file : std::filesystem::directory_iterator(folder.path / "slots")) {
        std::ofstream(file.path()) << R"({"format":999,"text":"x"})";
    }
    std::ofstream(folder.path / "slots" / "x-1.json") << "{";
    const SnapshotServer server(folder.path);
    CHECK(json::parse(server.get("/slots").body).empty());
    CHECK(server.ask("/infill", infill_in_slot(lines("alpha")))["content"] == first["content"]);
}

TEST_CASE("a pipe in the snapshot folder holds up neither the start nor a request") {
    const ScratchFolder folder;
    const json body = infill_in_slot(lines("alpha"));
    {
        const SnapshotServer server(folder.path);
        server.ask("/infill", body);
        server.ask("/slots/0?action=save", named);
    }
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder.path)) {
        if (file.is_regular_file()) {
            files.push_back(file.path());
        }
    }
    REQUIRE(files.size() == 4); // a snapshot, its record, a saved cache and its content
    for (const auto& file : files) {
        std::filesystem::remove(file);
        REQUIRE(mkfifo(file.c_str(), 0600) == 0);
    }
    const SnapshotServer server(folder.path);
    CHECK(json::parse(server.get("/slots").body).empty());
    CHECK(server.error_of("/slots/0?action=restore", named)["message"] ==
          "the slot's file cannot be used: it is no regular file");
    server.ask("/infill", body);
}

TEST_CASE("what holds source text is for its owner alone, in folders of its own") {
    const ScratchFolder scratch;
    const auto folder = scratch.path / "made" / "snapshots";
    const mode_t before = umask(0);
    {
        const SnapshotServer server(folder);
        server.ask("/infill", infill_in_slot(lines("alpha")));
        server.ask("/slots/0?action=save", named);
    }
    umask(before);
    CHECK(is_private(folder));
    size_t n_files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        CAPTURE(entry.path().string());
        if (entry.is_directory()) {
            CHECK(is_private(entry.path()));
        } else {
            CHECK(static_cast<unsigned>(entry.status().permissions()) == 0600);
            ++n_files;
        }
    }
    CHECK(n_files == 4);
}

TEST_CASE("a slot that the disk has no room for is answered with that") {
    const ScratchFolder folder;
    const SnapshotServer server(folder.path);
    server.ask("/infill", infill_in_slot(lines("alpha")));
    const FileSizeLimit limit(4096);
    CHECK(server.error_of("/slots/0?action=save", named)["message"] ==
          "the slot's file cannot be used: the file would exceed the size limit of this shell (see 'ulimit "
          "-f')");
}

TEST_CASE("a slot is saved, and restored into another one") {
    const ScratchFolder folder;
    const SnapshotServer server(folder.path);
    const json before = server.ask("/infill", infill_in_slot(lines("alpha")));
    const json saved = server.ask("/slots/0?action=save", named);
    CHECK(saved["id_slot"] == 0);
    CHECK(saved["filename"] == "first.bin");
    CHECK(saved["n_saved"] == before["tokens_cached"]);
    CHECK(saved["n_written"].get<int>() > 1000);
    CHECK(saved["timings"]["save_ms"].get<double>() >= 0);
    CHECK(is_private(folder.path / "saved" / "caches"));
    CHECK(is_private(folder.path / "saved" / "contents"));

    server.ask("/slots/0?action=erase", std::string_view());
    const json restored = server.ask("/slots/3?action=restore", named);
    CHECK(restored["id_slot"] == 3);
    CHECK(restored["n_restored"] == saved["n_saved"]);
    CHECK(restored["n_read"] == saved["n_written"]);
    CHECK(restored["timings"]["restore_ms"].get<double>() >= 0);
    const json after = server.ask("/infill", infill_in_slot(lines("alpha"), 3));
    CHECK(after["id_slot"] == 3);
    CHECK(after["content"] == before["content"]);
    CHECK(after["reuse"]["tokens_encoded"] == 0);
    // Over another session too.
    const json other = server.ask("/infill", infill_in_slot(lines("beta")));
    const std::string slot = std::to_string(other["id_slot"].get<int>());
    server.ask("/slots/" + slot + "?action=restore", named);
    CHECK(server.ask("/infill",
                     infill_in_slot(lines("alpha"), other["id_slot"]))["reuse"]["tokens_encoded"] == 0);
}

TEST_CASE("saved slots outlive the server") {
    const ScratchFolder folder;
    json before;
    {
        const SnapshotServer server(folder.path);
        before = server.ask("/infill", infill_in_slot(lines("alpha")));
        server.ask("/slots/0?action=save", named);
        server.ask("/slots/0?action=erase", std::string_view());
    }
    const SnapshotServer server(folder.path);
    server.ask("/slots/0?action=restore", named);
    // One that was not used since is saved from what there is.
    server.ask("/slots/0?action=save", json{{"filename", "second"}});
    const json after = server.ask("/infill", infill_in_slot(lines("alpha")));
    CHECK(after["reuse"]["tokens_encoded"] == 0);
    CHECK(after["content"] == before["content"]);
}

TEST_CASE("files that are no plain names, no saved slots, or that no folder is there for") {
    const ScratchFolder folder;
    const SnapshotServer server(folder.path);
    server.ask("/infill", infill_in_slot(lines("alpha")));
    const std::string save = "/slots/0?action=save";
    const std::string restore = "/slots/0?action=restore";
    for (const std::string& name :
         {std::string(), std::string("../x"), std::string("a/b"), std::string(".x"), std::string("a\\b"),
          std::string("a\0b", 3), std::string("a\nb"), std::string(300, 'x'), std::string("/etc/passwd")}) {
        CAPTURE(name);
        CHECK(server.error_of(save, {{"filename", name}})["code"] == 400);
        CHECK(server.error_of(restore, {{"filename", name}})["code"] == 400);
    }
    CHECK(server.error_of(save, json::object())["code"] == 400);
    CHECK(server.error_of(save, {{"filename", 7}})["code"] == 400);
    CHECK(server.error_of(save, json::array())["code"] == 400);
    CHECK(server.error_of("/slots/0?action=frobnicate", named)["code"] == 400);
    CHECK(server.error_of("/slots/0", named)["code"] == 400);
    CHECK(server.error_of("/slots/x?action=save", named)["code"] == 400);
    CHECK(server.error_of("/slots/7?action=save", named)["code"] == 404);
    CHECK(server.error_of("/slots/-1?action=restore", named)["code"] == 404);
    CHECK(server.error_of(restore, named)["code"] == 404);
    server.ask(save, named);
    CHECK(server.error_of("/slots/999?action=restore", named)["code"] == 404);

    const auto caches = folder.path / "saved" / "caches";
    std::filesystem::resize_file(caches / "first.bin", 500);
    CHECK(server.error_of(restore, named)["code"] == 400);
    std::ofstream(caches / "first.bin") << "nonsense";
    CHECK(server.error_of(restore, named)["code"] == 400);
    CHECK(server.ask("/infill", infill_in_slot(lines("alpha")))["content"].is_string());

    const TestServer without;
    without.ask("/infill", infill_in_slot(lines("alpha")));
    const auto refused = without.post(save, named.dump());
    CHECK(refused.status == 501);
    CHECK(json::parse(refused.body)["error"]["message"].get<std::string>().find("--snapshots") !=
          std::string::npos);
}

} // namespace pie
