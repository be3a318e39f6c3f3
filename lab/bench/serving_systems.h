#pragma once

// The servers that are measured side by side: the one table of them, and each as a running process.
//
// Thread rule: one thread at a time.

#include "base/child_process.h"
#include "bench/fill_prompt.h"
#include "bench/server_client.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

enum class ServerProgram { pie, llama_server };

struct ServingSystem {
    std::string_view name;
    std::string_view what;
    ServerProgram program;
    FillOrder order;
    std::string_view cache_reuse; // llama-server's --cache-reuse
};

std::span<const ServingSystem> serving_systems();

// Ours, and of the others all, or those named, separated by commas; in the order of their table. Errors:
// invalid_argument (no such system).
Result<std::vector<const ServingSystem*>> choose_systems(std::string_view names);

// Ours, and the name under which the plain batch's times stand in results.
constexpr std::string_view our_system = "pie";
constexpr std::string_view limit_system = "limit";

// What all servers of a run have in common.
struct ServerSetting {
    std::filesystem::path pie;
    std::filesystem::path llama_server;
    std::filesystem::path model;
    int32_t n_threads = 0;
    int32_t n_ctx = 0; // of each slot
    size_t n_slots = 1;
    std::filesystem::path logs; // a folder; empty: what the servers say is lost
};

std::vector<std::string> server_arguments(const ServingSystem& system, const ServerSetting& setting,
                                          int port);

class RunningServer {
  public:
    // Returns when the model is loaded. Polls interrupted(). Errors: those of ChildProcess, internal (it
    // ended, or does not get ready), cancelled.
    static Result<RunningServer> start(const ServingSystem& system, const ServerSetting& setting);

    const ServingSystem& system() const { return *system_; }
    ChildProcess& process() { return process_; }
    const ServerClient& client() const { return client_; }

  private:
    RunningServer(const ServingSystem& system, ChildProcess process, ServerClient client)
        : system_(&system), process_(std::move(process)), client_(std::move(client)) {}

    const ServingSystem* system_;
    ChildProcess process_;
    ServerClient client_;
};

} // namespace pie
