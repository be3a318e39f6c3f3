#include "base/forked.h"

#include "base/files.h"
#include "base/interrupt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>

namespace pie {
namespace {

constexpr std::chrono::milliseconds poll_interval(50);
// What a pipe takes without a reader.
constexpr size_t message_bytes_max = 4096;

constexpr int ended_well = 0;
constexpr int ended_with_error = 1; // which the pipe holds: its code as a byte, then the message

void tell(int pipe_end, const Error& error) {
    std::string told(1, static_cast<char>(error.code));
    told += error.message.substr(0, message_bytes_max - 1);
    // If it cannot be told, the parent says that the process ended without a reason.
    [[maybe_unused]] const ssize_t written = write(pipe_end, told.data(), told.size());
}

Result<void> without_exceptions(const std::function<Result<void>()>& work) {
    try {
        return work();
    } catch (const std::exception& exception) {
        return fail(ErrorCode::internal, exception.what());
    }
}

// In the copy. Destructors and buffers of this program are the parent's to run and to write.
[[noreturn]] void become_worker(const std::function<Result<void>()>& work, int pipe_end, pid_t parent) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) { // it was gone before the line above
        _exit(ended_with_error);
    }
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    const auto done = without_exceptions(work);
    if (!done) {
        tell(pipe_end, done.error());
    }
    _exit(done ? ended_well : ended_with_error);
}

// The status of waitpid(), once the process has ended.
std::optional<int> status_of(pid_t worker) {
    int status = 0;
    const pid_t waited = waitpid(worker, &status, WNOHANG);
    return waited == worker ? std::optional(status) : std::nullopt;
}

Result<void> outcome_of(int status, int pipe_end) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == ended_well) {
        return {};
    }
    std::array<char, message_bytes_max> told{};
    const ssize_t size_bytes = WIFEXITED(status) && WEXITSTATUS(status) == ended_with_error
                                   ? read(pipe_end, told.data(), told.size())
                                   : 0;
    if (size_bytes <= 1) {
        return fail(ErrorCode::internal, WIFSIGNALED(status)
                                             ? fmt::format("the process ended by signal {}", WTERMSIG(status))
                                             : "the process ended without saying why");
    }
    return fail(static_cast<ErrorCode>(told.front()),
                std::string(&told[1], static_cast<size_t>(size_bytes) - 1));
}

} // namespace

Result<void> run_forked(const std::function<Result<void>()>& work, const std::function<void()>& meanwhile,
                        const std::string& consequence) {
    std::array<int, 2> ends = {-1, -1};
    if (pipe(ends.data()) != 0) {
        return fail(ErrorCode::internal, "no pipe can be made; close some programs and try again");
    }
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    // Whatever is in them now would be written by both.
    std::fflush(nullptr);
    const pid_t parent = getpid();
    const pid_t worker = fork();
    if (worker == 0) {
        become_worker(work, writing.number(), parent);
    }
    if (worker < 0) {
        return fail(ErrorCode::internal, "no process can be started; close some programs and try again");
    }
    writing = Descriptor();
    while (true) {
        if (const auto status = status_of(worker)) {
            return outcome_of(*status, reading.number());
        }
        if (interrupted()) {
            kill(worker, SIGKILL);
            waitpid(worker, nullptr, 0);
            return fail_interrupted(consequence);
        }
        meanwhile();
        std::this_thread::sleep_for(poll_interval);
    }
}

} // namespace pie
