// pie serve: the HTTP server that editors' plugins talk to.

#include "base/files.h"
#include "base/interrupt.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/run_flags.h"
#include "cli/terminal.h"
#include "cli/validators.h"
#include "engine/threads.h"
#include "server/client_config.h"
#include "server/server.h"

#include <pie/model.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>

namespace pie {
namespace {

struct ServeArguments {
    RunFlags run;
    ModelOptions model = {.n_predict_max = 512};
    ServerOptions server;
    size_t cache_ram_mb = 2000;
    std::string snapshots;
    std::string api_key_file;
    std::string log_level = "info";
    std::string editor; // whose configuration is printed
};

const std::map<std::string, PromptKind> infill_layouts = {{"line", PromptKind::automatic},
                                                          {"cursor", PromptKind::fill}};

std::string address_of(const ServerOptions& options, int port) {
    const bool is_v6 = options.host.find(':') != std::string::npos;
    return fmt::format("http://{}:{}", is_v6 ? "[" + options.host + "]" : options.host, port);
}

// Empty: there is none.
Result<std::string> find_api_key(const std::string& file) {
    if (!file.empty()) {
        return ApiKey::text_in_file(file);
    }
    const char* key = std::getenv("PIE_API_KEY");
    return std::string(key == nullptr ? "" : key);
}

// Where a client of this machine reaches a server that listens on all of its addresses.
ServerOptions as_reached(ServerOptions options) {
    if (options.host == "0.0.0.0") {
        options.host = "127.0.0.1";
    } else if (options.host == "::") {
        options.host = "::1";
    }
    return options;
}

// The model's own name, without the folders that it lies in.
std::string shown_name(const RunFlags& flags) {
    return flags.hub.empty() ? std::string(flags.model.ends_with(".gguf")
                                               ? std::filesystem::path(flags.model).stem().string()
                                               : flags.model)
                             : flags.hub;
}

void start_log(const std::string& level) {
    auto log = spdlog::stderr_color_mt("pie");
    log->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    spdlog::set_default_logger(std::move(log));
    spdlog::set_level(spdlog::level::from_str(level));
}

Result<Model> load(const ServeArguments& arguments, const std::filesystem::path& path) {
    ModelOptions options = with_run_flags(arguments.model, arguments.run);
    options.ram_bytes_max = arguments.cache_ram_mb * 1'000'000;
    options.snapshot_folder = arguments.snapshots;
    options.queue_max = arguments.server.requests_max + arguments.server.documents_max;
    options.on_trouble = [](std::string_view session, const Error& error) {
        spdlog::warn("the cache of '{}': {}", printable(session), error.message);
    };
    return Model::load(path, options);
}

// Before a large model is loaded, and texts are lost.
Result<void> check_snapshot_folder(const std::string& folder) {
    if (folder.empty()) {
        return {};
    }
    PIE_TRY(create_folder(folder, FileAccess::owner_only));
    if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
        return tl::unexpected<Error>(file_error("write into the folder", folder, errno));
    }
    return {};
}

void print_model(const ServeArguments& arguments, const Model& model) {
    const int32_t n_threads = arguments.run.n_threads > 0 ? arguments.run.n_threads : physical_core_count();
    print_note(fmt::format("pie: {} ({}), a context of {} tokens, {} threads, at most {} for caches",
                           arguments.server.model_name,
                           model.fills_in_the_middle() ? "fills in the middle" : "left to right only",
                           model.n_ctx(), n_threads, format_bytes(arguments.cache_ram_mb * 1'000'000)));
    const MemoryUse memory = model.memory();
    print_note(fmt::format("pie: a session takes what it fills of its cache, up to {}; batches take {}",
                           format_bytes(memory.session_bytes_max), format_bytes(memory.compute_bytes)));
    for (const std::string& doubt : model.doubts()) {
        print_note("pie: " + printable(doubt));
    }
}

void print_welcome(const std::string& address) {
    print_note("pie: listening on " + address);
    print_note(
        fmt::format("pie: for llama.vim, let g:llama_config = {{ 'endpoint_fim': '{}/infill' }}", address));
    print_note(fmt::format("pie: for other editors, see pie serve --print-config {}",
                           fmt::join(configurable_editors(), "|")));
}

Result<void> serve(ServeArguments arguments) {
    start_log(arguments.log_level);
    PIE_ASSIGN(const std::string api_key, find_api_key(arguments.api_key_file));
    arguments.server.api_key = ApiKey(api_key);
    if (arguments.server.model_name.empty()) {
        arguments.server.model_name = shown_name(arguments.run);
    }
    arguments.server.n_predict_max = arguments.model.n_predict_max;
    PIE_TRY(check_reach(arguments.server)); // before a large model is loaded in vain
    PIE_TRY(check_snapshot_folder(arguments.snapshots));
    PIE_ASSIGN(const std::filesystem::path path, find_model(arguments.run.model, arguments.run.hub));
    PIE_ASSIGN(const auto server, Server::listen(arguments.server));
    const std::string address = address_of(arguments.server, server->port());
    print_note(fmt::format("pie: loading {}; until then {} answers 503", path.string(), address));
    PIE_ASSIGN(Model model, load(arguments, path));
    print_model(arguments, model);
    server->serve(std::move(model));
    print_welcome(address);
    while (!interrupted()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    print_note("pie: shutting down");
    server->stop();
    return {};
}

Result<void> print_config(const ServeArguments& arguments) {
    const std::string name =
        arguments.server.model_name.empty() ? shown_name(arguments.run) : arguments.server.model_name;
    PIE_ASSIGN(const std::string api_key, find_api_key(arguments.api_key_file));
    const std::string address = address_of(as_reached(arguments.server), arguments.server.port);
    PIE_ASSIGN(const std::string config,
               editor_config(arguments.editor, {.address = address, .model = name, .api_key = api_key}));
    fmt::print("{}", config);
    return {};
}

void add_access_flags(CLI::App& command, ServeArguments& arguments) {
    ServerOptions& server = arguments.server;
    command
        .add_option("--host", server.host,
                    "Address to listen on; another than this machine's own needs a key")
        ->capture_default_str();
    command.add_option("--port", server.port, "Port to listen on; 0: any that is free")
        ->check(CLI::Range(0, 65535))
        ->capture_default_str();
    command.add_option("--api-key-file", arguments.api_key_file,
                       "A file with the key that requests must carry; or the variable PIE_API_KEY");
    command.add_flag("--insecure", server.insecure, "Let other machines use the server without a key");
    command
        .add_option("--allow-host", server.allowed_hosts,
                    "Let programs of this machine use another name for it, such as "
                    "host.docker.internal, without a key")
        ->type_name("NAME");
    command.add_option("--cors-origin", server.cors_origin,
                       "Let web pages of this origin use the server; '*': of any");
}

void add_engine_flags(CLI::App& command, ServeArguments& arguments) {
    command
        .add_option("-n,--n-predict", arguments.model.n_predict_max,
                    "Tokens of the context that prompts leave for a completion; its most where a request "
                    "does not say")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command.add_option("--cache-ram", arguments.cache_ram_mb, "Memory for all caches together, in MB")
        ->check(CLI::Range(size_t{1}, size_t{1'000'000'000}))
        ->capture_default_str();
    command.add_option("--snapshots", arguments.snapshots,
                       "A folder for caches that do not fit, and that the next start goes on with");
    command
        .add_option("--infill-layout", arguments.model.prompt,
                    "What stands behind the last marker: the cursor's line, or nothing, as with llama-server")
        ->transform(one_of(infill_layouts))
        ->default_str("line");
    command.add_option("--alias", arguments.server.model_name, "The model's name as clients are told");
}

} // namespace

void add_serve_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<ServeArguments>();
    CLI::App* command = app.add_subcommand("serve", "Serve editors over HTTP, as llama-server does");
    command->footer(
        "Examples:\n  pie serve\n  pie serve -m qwen2.5-coder-0.5b --port 8013 --snapshots snapshots\n"
        "  pie serve --print-config vim");
    add_run_flags(*command, arguments->run);
    add_engine_flags(*command, *arguments);
    add_access_flags(*command, *arguments);
    command->add_option("--log-level", arguments->log_level, "debug, info, warning, error or off")
        ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
        ->capture_default_str();
    command
        ->add_option("--print-config", arguments->editor,
                     "Print what an editor's settings need, the key included, and end")
        ->check(CLI::IsMember(configurable_editors()));
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = arguments->editor.empty() ? serve(*arguments) : print_config(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
