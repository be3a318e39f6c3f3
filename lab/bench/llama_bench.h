#pragma once

// llama.cpp's own benchmark program as a peer: the same model, threads and shapes, one repetition a call, so
// that its turns alternate with ours.

#include "bench/engine_bench.h"

#include <pie/result.h>

#include <filesystem>
#include <string_view>

namespace pie {

// Runs `program` (llama-bench) at one depth. Errors: not_found, internal (it failed; its own message is on
// standard error).
Result<Throughput> run_llama_bench(const std::filesystem::path& program, const std::filesystem::path& model,
                                   int32_t n_threads, int32_t depth);

// The two figures in its JSON output. Errors: corrupt.
Result<Throughput> parse_llama_bench(std::string_view json);

} // namespace pie
