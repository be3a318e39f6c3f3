#pragma once

// Runs Python programs that a model wrote, each in a child process that can do no harm that the kernel can
// keep it from: namespaces of its own without a network, every file system read-only, nothing of the caller's
// environment or descriptors, limits on time, memory and files, and death with all its children at the end.
// Where the kernel does not grant all of that, nothing is run.
//
// Thread rule: any thread may run a program; each run is its own process.

#include <pie/result.h>

#include <string>

namespace pie {

struct SandboxLimits {
    int seconds = 5; // of time, and of processor time
    int memory_mb = 512;
};

enum class ProgramEnd { passed, failed, timed_out };

// How python3 ended with the program: passed is exit status 0. Errors: unsupported (the kernel grants no such
// process, or there is no python3), too_large (the program is too long), internal.
Result<ProgramEnd> run_python(const std::string& program, const SandboxLimits& limits = {});

} // namespace pie
