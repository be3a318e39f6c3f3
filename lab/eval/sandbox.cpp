#include "eval/sandbox.h"

#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace pie {
namespace {

// Exit statuses that Python does not end with by itself; the pipe tells them apart from a program's own.
enum class Refusal : char { none, isolation, limits, python };

// What the child needs, made before the fork: behind it only calls that are safe in a signal handler remain.
struct ChildPlan {
    int program = -1; // a descriptor to read it from
    int report = -1;  // a pipe's end for a Refusal; closed when Python starts
    SandboxLimits limits;
};

[[noreturn]] void refuse(int report, Refusal refusal) {
    const auto byte = static_cast<char>(refusal);
    [[maybe_unused]] const ssize_t written = write(report, &byte, 1);
    _exit(1);
}

bool isolate() {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) != 0 ||
        mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        return false;
    }
    mount_attr read_only{};
    read_only.attr_set = MOUNT_ATTR_RDONLY;
    return syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)) == 0;
}

bool limit(const SandboxLimits& limits) {
    const auto set = [](auto resource, rlim_t value) {
        const rlimit both = {value, value};
        return setrlimit(resource, &both) == 0;
    };
    return set(RLIMIT_CPU, static_cast<rlim_t>(limits.seconds)) &&
           set(RLIMIT_AS, static_cast<rlim_t>(limits.memory_mb) << 20U) && set(RLIMIT_FSIZE, 0) &&
           set(RLIMIT_CORE, 0) && set(RLIMIT_NOFILE, 32) && set(RLIMIT_NPROC, 16);
}

// The program is Python's standard input; what it prints is lost.
bool redirect(int program) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return nowhere >= 0 && dup2(program, STDIN_FILENO) >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0 &&
           dup2(nowhere, STDERR_FILENO) >= 0 && chdir("/") == 0;
}

[[noreturn]] void become_python(const ChildPlan& plan) {
    // The first process of its namespace: with it goes all that it started.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        !redirect(plan.program) || !limit(plan.limits)) {
        refuse(plan.report, Refusal::limits);
    }
    char name[] = "python3";
    char isolated[] = "-I";
    char no_site[] = "-S";
    char no_cache[] = "-B";
    char from_input[] = "-";
    char* const arguments[] = {name, isolated, no_site, no_cache, from_input, nullptr};
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char* const environment[] = {path, nullptr};
    // Descriptors of the caller are marked to close already; whatever is not goes here.
    syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
    for (const char* python : {"/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3"}) {
        execve(python, arguments, environment);
    }
    refuse(plan.report, Refusal::python);
}

// Between the caller and Python, as a namespace of processes begins with the next child.
[[noreturn]] void run_child(const ChildPlan& plan) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || !isolate()) {
        refuse(plan.report, Refusal::isolation);
    }
    const pid_t python = fork();
    if (python < 0) {
        refuse(plan.report, Refusal::isolation);
    }
    if (python == 0) {
        become_python(plan);
    }
    close(plan.report);
    int status = 0;
    while (waitpid(python, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// An open pipe, or an unnamed file in memory that holds the program.
Result<std::array<Descriptor, 2>> make_pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fail(ErrorCode::internal, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    }
    return std::array<Descriptor, 2>{Descriptor(ends[0]), Descriptor(ends[1])};
}

Result<Descriptor> program_file(const std::string& program) {
    Descriptor file(memfd_create("program", MFD_CLOEXEC));
    if (file.number() < 0 ||
        pwrite(file.number(), program.data(), program.size(), 0) != static_cast<ssize_t>(program.size())) {
        return fail(ErrorCode::internal,
                    fmt::format("cannot hand over the program: {}", std::strerror(errno)));
    }
    return file;
}

tl::unexpected<Error> fail_refused(Refusal refusal) {
    if (refusal == Refusal::python) {
        return fail(ErrorCode::unsupported, "there is no python3 to run the program with; install it");
    }
    return fail(ErrorCode::unsupported,
                "the kernel does not let a program be shut off from network and files (unprivileged user "
                "namespaces and read-only mounts), so that it was not run; allow them, or leave tests out");
}

// Waits for the child until the deadline, and kills it then.
Result<ProgramEnd> await(pid_t child, int report, const SandboxLimits& limits) {
    const int watched = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    const Descriptor process(watched);
    pollfd ended = {watched, POLLIN, 0};
    const int ready = watched < 0 ? -1 : poll(&ended, 1, 1000 * limits.seconds);
    if (ready <= 0) {
        kill(child, SIGKILL);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    char refusal = 0;
    if (read(report, &refusal, 1) == 1) {
        return fail_refused(static_cast<Refusal>(refusal));
    }
    if (ready < 0) {
        return fail(ErrorCode::unsupported, "the kernel does not tell when a process ends (pidfd_open)");
    }
    if (ready == 0) {
        return ProgramEnd::timed_out;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ProgramEnd::passed : ProgramEnd::failed;
}

} // namespace

Result<ProgramEnd> run_python(const std::string& program, const SandboxLimits& limits) {
    constexpr size_t program_bytes_max = 1 << 20;
    if (program.size() > program_bytes_max) {
        return fail(ErrorCode::too_large, fmt::format("a program of {} bytes is not run", program.size()));
    }
    PIE_ASSIGN(const Descriptor file, program_file(program));
    PIE_ASSIGN(auto report, make_pipe());
    const ChildPlan plan{file.number(), report[1].number(), limits};
    const pid_t child = fork();
    if (child < 0) {
        return fail(ErrorCode::internal, fmt::format("cannot start a process: {}", std::strerror(errno)));
    }
    if (child == 0) {
        run_child(plan);
    }
    report[1] = Descriptor();
    return await(child, report[0].number(), limits);
}

} // namespace pie
