#include "base/test_fixtures.h"
#include "bench/program_output.h"
#include "bench/serving_systems.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace pie {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += word + " ";
    }
    return text;
}

} // namespace

TEST_CASE("all servers get the same model, threads and context") {
    std::set<std::string_view> names;
    for (const ServingSystem& system : serving_systems()) {
        CAPTURE(system.name);
        CHECK(names.insert(system.name).second);
        ServerSetting setting;
        setting.model = "m.gguf";
        setting.n_threads = 3;
        setting.n_ctx = 99;
        const std::string line = joined(server_arguments(system, setting, 1234));
        CHECK(line.find("-m m.gguf -c 99 -t 3 --port 1234 ") != std::string::npos);
        CHECK(line.starts_with("serve ") == (system.program == ServerProgram::pie));
    }
    CHECK(serving_systems().front().name == our_system);
}

TEST_CASE("llama.vim's presets") {
    const auto preset = std::ranges::find(serving_systems(), "llama.vim", &ServingSystem::name);
    REQUIRE(preset != serving_systems().end());
    CHECK(preset->order == FillOrder::prefix_first);
    const std::string line = joined(server_arguments(*preset, {}, 1));
    CHECK(line.find("-b 1024 -ub 1024 --cache-reuse 256 ") != std::string::npos);
}

TEST_CASE("a server that ends at once is an error that names its log") {
    const ScratchFolder scratch;
    ServerSetting setting;
    setting.llama_server = "/bin/false";
    setting.logs = scratch.path;
    const auto server = RunningServer::start(serving_systems()[1], setting);
    REQUIRE_FALSE(server);
    CHECK(server.error().message.find("llama.vim.log") != std::string::npos);
}

TEST_CASE("what programs say") {
    CHECK(output_of("/bin/echo", {"it's", "so"}).value() == "it's so\n");
    CHECK_FALSE(output_of("/bin/false", {}));
    CHECK(output_of("/no/such/program", {}).error().code == ErrorCode::not_found);
    CHECK(output_of("/bin/sh", {"-c", "echo a >&2"}, OutputStreams::standard_and_error).value() == "a\n");
}

} // namespace pie
