#include "bench/serving_systems.h"

#include "base/interrupt.h"
#include "bench/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace pie {
namespace {

// llama-server is started as the presets for llama.vim start it (--fim-qwen-…), but for its context and port.
// The last two give caching by prefix the order of texts that suits it best: the first where nothing changes
// above the cursor's line, the second where nothing changes behind the cursor.
constexpr ServingSystem system_table[] = {
    {our_system, "pie serve, /infill", ServerProgram::pie, FillOrder::infill, ""},
    {"llama.vim", "llama-server as llama.vim's presets start it", ServerProgram::llama_server,
     FillOrder::prefix_first, "256"},
    {"reuse-1", "the same with --cache-reuse 1", ServerProgram::llama_server, FillOrder::prefix_first, "1"},
    {"line-last", "llama-server, the cursor's line behind <MID>", ServerProgram::llama_server,
     FillOrder::line_last, "256"},
    {"suffix-first", "llama-server, the suffix before the prefix", ServerProgram::llama_server,
     FillOrder::suffix_first, "256"},
};

constexpr auto start_time_max = std::chrono::minutes(5);

} // namespace

std::span<const ServingSystem> serving_systems() {
    return system_table;
}

Result<std::vector<const ServingSystem*>> choose_systems(std::string_view names) {
    PIE_ASSIGN(const auto named,
               choose_by_name(serving_systems(), names == "all" ? std::string_view() : names, "system"));
    std::vector<const ServingSystem*> chosen;
    for (const ServingSystem& system : system_table) {
        if (names == "all" || system.name == our_system || std::ranges::count(named, &system) > 0) {
            chosen.push_back(&system);
        }
    }
    return chosen;
}

// llama-server divides its context among its slots, and makes as many as it likes unless it is told; ours
// has a context for each session, and as many sessions as are asked for.
std::vector<std::string> server_arguments(const ServingSystem& system, const ServerSetting& setting,
                                          int port) {
    const bool is_ours = system.program == ServerProgram::pie;
    const bool has_slots = setting.n_slots > 1;
    const int32_t n_ctx = setting.n_ctx * (is_ours ? 1 : static_cast<int32_t>(setting.n_slots));
    std::vector<std::string> arguments = {"-m",     setting.model.string(),
                                          "-c",     std::to_string(n_ctx),
                                          "-t",     std::to_string(setting.n_threads),
                                          "--port", std::to_string(port)};
    if (is_ours) {
        arguments.insert(arguments.begin(), "serve");
        arguments.insert(arguments.end(), {"--n-predict", "64", "--log-level", "warning"});
        if (has_slots) { // as llama-server, which has memory for all slots from the start
            arguments.insert(arguments.end(), {"--cache-ram", "1000000"});
        }
    } else {
        arguments.insert(arguments.end(), {"--host", "127.0.0.1", "-b", "1024", "-ub", "1024",
                                           "--cache-reuse", std::string(system.cache_reuse)});
        if (has_slots) {
            arguments.insert(arguments.end(), {"--parallel", std::to_string(setting.n_slots)});
        }
    }
    return arguments;
}

Result<RunningServer> RunningServer::start(const ServingSystem& system, const ServerSetting& setting) {
    PIE_ASSIGN(const int port, find_free_port());
    const std::filesystem::path log =
        setting.logs.empty() ? "/dev/null" : setting.logs / fmt::format("{}.log", system.name);
    PIE_ASSIGN(auto process,
               ChildProcess::start(system.program == ServerProgram::pie ? setting.pie : setting.llama_server,
                                   server_arguments(system, setting, port), log));
    ServerClient client(std::string(system.name), port);
    const auto deadline = std::chrono::steady_clock::now() + start_time_max;
    while (!client.is_ready()) {
        if (interrupted()) {
            return fail_interrupted("what is in the results stays there");
        }
        if (process.has_ended() || std::chrono::steady_clock::now() > deadline) {
            return fail(ErrorCode::internal,
                        fmt::format("the server '{}' does not start; {}", system.name,
                                    setting.logs.empty() ? "with --out DIR its log is kept there"
                                                         : "its log is " + log.string()));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return RunningServer(system, std::move(process), std::move(client));
}

} // namespace pie
