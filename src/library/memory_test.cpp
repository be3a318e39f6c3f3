// How much memory many small sessions take, by the kernel's own count.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

namespace pie {
namespace {

size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    size_t pages_in_all = 0;
    size_t pages_resident = 0;
    file >> pages_in_all >> pages_resident;
    REQUIRE(file);
    return pages_resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

} // namespace

TEST_CASE("many small sessions take memory for what is in them") {
    const ScratchFolder scratch;
    const auto file = scratch.path / "tiny.gguf";
    testing::write_tiny_model(
        {.architecture = "qwen2", .n_layer = 8, .n_embd = 512, .n_head = 8, .n_head_kv = 8, .head_dim = 64},
        file);
    const Model model = Model::load(file, {.n_threads = 1, .n_ctx = 2048, .n_predict_max = 64}).value();
    const MemoryUse empty = model.memory();
    CHECK(empty.cache_bytes == 0);
    CHECK(empty.compute_bytes > 0);
    CHECK(empty.session_bytes_max > 30'000'000);
    std::vector<Session> sessions;
    const auto add = [&] {
        sessions.push_back(model.open());
        REQUIRE(sessions.back().set_text(
            "x" + std::to_string(sessions.size()) + " = 1\n" + std::string(60, 'a'), ByteOffset(0)));
        REQUIRE(sessions.back().complete({.n_predict = 8}));
        REQUIRE(sessions.back().heal());
    };
    add(); // whatever is set aside once
    const size_t before = resident_bytes();
    constexpr size_t n_more = 16;
    for (size_t i = 0; i < n_more; ++i) {
        add();
    }
    const size_t grown = resident_bytes() - before;
    const MemoryUse memory = model.memory();
    size_t n_tokens = 0;
    size_t cache_bytes = 0;
    for (const Session& session : sessions) {
        n_tokens += static_cast<size_t>(session.stats().tokens);
        cache_bytes += session.stats().cache_bytes;
    }
    CHECK(memory.cache_bytes == cache_bytes);
    // Keys and values of 8 layers in f16; twice as many as there are while they are healed, and half of a
    // page beside each tensor's.
    constexpr size_t bytes_a_token = 2 * 8 * 512 * 2;
    CHECK(cache_bytes < 3 * n_tokens * bytes_a_token);
    constexpr size_t others_bytes = 1'000'000; // of a session: logits, what is known of cells
    CHECK(grown < cache_bytes + n_more * others_bytes);
    CHECK(grown < n_more * empty.session_bytes_max / 4);
    sessions.clear();
}

} // namespace pie
