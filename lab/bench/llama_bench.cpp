#include "bench/llama_bench.h"

#include "bench/program_output.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace pie {
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
    const std::vector<std::string> arguments = {"-m",  model.string(),
                                                "-p",  std::to_string(EngineBench::n_prefill),
                                                "-n",  std::to_string(EngineBench::n_decode),
                                                "-d",  std::to_string(depth),
                                                "-t",  std::to_string(n_threads),
                                                "-r",  std::to_string(EngineBench::n_repetitions),
                                                "-fa", "1",
                                                "-o",  "json"};
    PIE_ASSIGN(const std::string output, output_of(program, arguments));
    return parse_llama_bench(output);
}

} // namespace pie
