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

TEST_CASE("a slot for each session, with a context of its own") {
    ServerSetting setting;
    setting.n_ctx = 100;
    setting.n_slots = 4;
    const std::string ours = joined(server_arguments(serving_systems()[0], setting, 1));
    CHECK(ours.find("-c 100 ") != std::string::npos);
    CHECK(ours.find("--parallel") == std::string::npos);
    const std::string other = joined(server_arguments(serving_systems()[1], setting, 1));
    CHECK(other.find("-c 400 ") != std::string::npos);
    CHECK(other.find("--parallel 4 ") != std::string::npos);
    setting.n_slots = 1; // as the presets have it
    CHECK(joined(server_arguments(serving_systems()[1], setting, 1)).find("--parallel") == std::string::npos);
}

TEST_CASE("systems are chosen by name, and ours is always one of them") {
    CHECK(choose_systems("all")->size() == serving_systems().size());
    const auto two = choose_systems("line-last,llama.vim");
    REQUIRE(two);
    REQUIRE(two->size() == 3);
    CHECK(two->at(0)->name == our_system);
    CHECK(two->at(1)->name == "llama.vim");
    CHECK(two->at(2)->name == "line-last");
    CHECK(choose_systems("pie")->size() == 1);
    const auto none = choose_systems("llama.vim,copilot");
    REQUIRE_FALSE(none);
    CHECK(none.error().message.find("copilot") != std::string::npos);
    CHECK(none.error().message.find("suffix-first") != std::string::npos);
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
