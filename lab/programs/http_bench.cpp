// What HTTP adds to the first token: the same keystrokes to the library in this process and to `pie serve`,
// in turns. Both hold the text, so that a keystroke costs a token or none, and what is left is everything
// else.
//
//   http_bench PIE MODEL.gguf TEXT [KEYSTROKES]

#include "base/elapsed.h"
#include "base/files.h"
#include "base/quantile.h"
#include "bench/number_argument.h"
#include "bench/serving_systems.h"

#include <pie/model.h>
#include <pie/session.h>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t text_bytes_max = 1'000'000;
constexpr int32_t n_ctx = 8192;
constexpr int32_t n_predict = 8;
constexpr auto key_period = std::chrono::milliseconds(100);
constexpr std::string_view typed = "const auto total = compute_total(values, options.limit); ";

// A line of its own in the middle of the text, as far as it is typed.
DocumentState typed_so_far(const std::string& text, size_t n_typed) {
    const size_t middle = text.find('\n', text.size() / 2) + 1;
    std::string line;
    for (size_t i = 0; i < n_typed; ++i) {
        line += typed[i % typed.size()];
    }
    return {text.substr(0, middle) + line + "\n" + text.substr(middle), middle + line.size()};
}

Result<double> ask_library(Session& session, const DocumentState& state) {
    const auto start = Clock::now();
    double first_ms = 0;
    PIE_TRY(session.set_text(state.text, ByteOffset(state.cursor)));
    PIE_TRY(session.complete({.n_predict = n_predict}, [&](std::string_view) {
        first_ms = first_ms > 0 ? first_ms : milliseconds_since(start);
        return StreamControl::go_on;
    }));
    return first_ms > 0 ? first_ms : milliseconds_since(start);
}

Result<double> ask_server(const RunningServer& server, const DocumentState& state) {
    const FillRequestBody request = fill_request(state, FillOrder::infill, {}, {.n_predict = n_predict});
    PIE_ASSIGN(const ServedAnswer answer, server.client().ask(request.path, request.body));
    return answer.first_ms;
}

Result<void> run(const ServerSetting& setting, const std::string& text, size_t n_keys) {
    PIE_ASSIGN(const Model model,
               Model::load(setting.model, {.n_threads = setting.n_threads, .n_ctx = n_ctx}));
    PIE_ASSIGN(RunningServer server, RunningServer::start(serving_systems().front(), setting));
    Session session = model.open();
    PIE_TRY(ask_library(session, typed_so_far(text, 0)));
    PIE_TRY(ask_server(server, typed_so_far(text, 0)));
    PIE_TRY(session.heal());
    std::vector<double> library_ms;
    std::vector<double> server_ms;
    std::vector<double> differences_ms;
    for (size_t key = 1; key <= n_keys; ++key) {
        const DocumentState state = typed_so_far(text, key);
        // Whoever is second finds the text in the processor's caches.
        for (const bool library : {key % 2 == 0, key % 2 != 0}) {
            std::this_thread::sleep_for(key_period);
            PIE_ASSIGN(const double first_ms,
                       library ? ask_library(session, state) : ask_server(server, state));
            (library ? library_ms : server_ms).push_back(first_ms);
        }
        differences_ms.push_back(server_ms.back() - library_ms.back());
    }
    fmt::print("{} keystrokes into {} bytes, first text, p50: library {:.1f} ms, HTTP {:.1f} ms; "
               "difference {:.1f} ms\n",
               n_keys, text.size(), median(library_ms), median(server_ms), median(differences_ms));
    return {};
}

Result<void> run(const ServerSetting& setting, const char* text_path, size_t n_keys) {
    PIE_ASSIGN(const std::string text, read_file(text_path, text_bytes_max));
    return run(setting, text, n_keys);
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    size_t n_keys = 50;
    if (argc < 4 || argc > 5 || !pie::read_argument(argc, argv, 4, n_keys)) {
        fmt::print(stderr, "usage: http_bench PIE MODEL.gguf TEXT [KEYSTROKES]\n");
        return 2;
    }
    pie::ServerSetting setting;
    setting.pie = argv[1];
    setting.model = argv[2];
    setting.n_threads = static_cast<int32_t>(std::thread::hardware_concurrency());
    setting.n_ctx = pie::n_ctx;
    const auto done = pie::run(setting, argv[3], n_keys);
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
