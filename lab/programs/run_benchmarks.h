#pragma once

// The end of each main whose benchmarks are registered by then.

#include <benchmark/benchmark.h>

namespace pie {

// Those that the arguments choose. Returns the exit status.
inline int run_benchmarks(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

} // namespace pie
