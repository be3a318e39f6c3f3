#include "bench/program_output.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>

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

Result<std::string> output_of(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                              OutputStreams streams) {
    if (!std::filesystem::exists(program)) {
        return fail(
            ErrorCode::not_found,
            fmt::format("there is no {}; 'make bench' builds what it measures against", program.string()));
    }
    std::string command = quoted(program.string());
    for (const std::string& argument : arguments) {
        command += " " + quoted(argument);
    }
    command += streams == OutputStreams::standard ? "" : " 2>&1";
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
        return fail(ErrorCode::internal,
                    fmt::format("{} ended with status {}", program.filename().string(), status));
    }
    return output;
}

Result<std::string> program_version(const std::filesystem::path& program) {
    constexpr std::string_view before = "version: ";
    PIE_ASSIGN(std::string output, output_of(program, {"--version"}, OutputStreams::standard_and_error));
    const size_t begin = output.find(before) == std::string::npos ? 0 : output.find(before) + before.size();
    return output.substr(begin, output.find('\n', begin) - begin);
}

} // namespace pie
