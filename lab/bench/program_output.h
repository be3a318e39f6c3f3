#pragma once

// Runs another program to its end.
//
// Thread rule: any thread may call.

#include <pie/result.h>

#include <filesystem>
#include <string>
#include <vector>

namespace pie {

enum class OutputStreams { standard, standard_and_error };

// What it wrote. Errors: not_found (no such program), internal (it failed; where its standard error is not
// taken, its own message is there).
Result<std::string> output_of(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                              OutputStreams streams = OutputStreams::standard);

// What a program of llama.cpp answers to --version. Errors: as above.
Result<std::string> program_version(const std::filesystem::path& program);

} // namespace pie
