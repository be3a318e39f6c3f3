#include "bench/llama_bench.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

namespace pie {
namespace {

// For a POSIX shell.
std::string quoted(const std::string& argument) {
    std::string result = "'";
    for (const char c : argument) {
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return result + "'";
}

} // namespace

Result<Throughput> parse_llama_bench(std::string_view json) {
    const nlohmann::json tests = nlohmann::json::parse(json, nullptr, false);
    Throughput throughput;
    if (tests.is_array()) {
        for (const nlohmann::json& test : tests) {
            const bool decodes = test.value("n_gen", 0) > 0;
            (decodes ? throughput.decode_tokens_per_s : throughput.prefill_tokens_per_s) =
                test.value("avg_ts", 0.0);
        }
    }
    if (throughput.prefill_tokens_per_s <= 0 || throughput.decode_tokens_per_s <= 0) {
        return fail(ErrorCode::corrupt, "llama-bench printed no prefill and decode figures");
    }
    return throughput;
}

Result<Throughput> run_llama_bench(const std::filesystem::path& program, const std::filesystem::path& model,
                                   int32_t n_threads, int32_t depth) {
    if (!std::filesystem::exists(program)) {
        return fail(ErrorCode::not_found,
                    fmt::format("there is no {}; 'make bench' builds llama-bench first", program.string()));
    }
    const std::string command =
        fmt::format("{} -m {} -p {} -n {} -d {} -t {} -r {} -fa 1 -o json", quoted(program.string()),
                    quoted(model.string()), EngineBench::n_prefill, EngineBench::n_decode, depth, n_threads,
                    EngineBench::n_repetitions);
    const auto close = [](FILE* pipe) { return pclose(pipe); };
    std::unique_ptr<FILE, decltype(close)> pipe(popen(command.c_str(), "r"), close);
    if (pipe == nullptr) {
        return fail(ErrorCode::internal, fmt::format("{} cannot be started", program.string()));
    }
    std::string output;
    std::array<char, 4096> buffer;
    for (size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;) {
        output.append(buffer.data(), n);
    }
    if (const int status = pclose(pipe.release()); status != 0) {
        return fail(ErrorCode::internal, fmt::format("llama-bench ended with status {}", status));
    }
    return parse_llama_bench(output);
}

} // namespace pie
