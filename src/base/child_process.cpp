#include "base/child_process.h"

#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

namespace pie {
namespace {

// In the child, between fork and exec: only what POSIX allows there.
[[noreturn]] void become(const char* program, char* const* arguments, int log, pid_t parent) {
    constexpr int not_started = 127;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { // it was gone before the line above
        _exit(not_started);
    }
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execv(program, arguments);
    _exit(not_started);
}

} // namespace

Result<ChildProcess> ChildProcess::start(const std::filesystem::path& program,
                                         const std::vector<std::string>& arguments,
                                         const std::filesystem::path& log) {
    if (access(program.c_str(), X_OK) != 0) {
        return fail(ErrorCode::not_found, fmt::format("there is no program {}", program.string()));
    }
    std::vector<std::string> words = {program.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    const Descriptor output(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (output.number() < 0) {
        return tl::unexpected(file_error("write", log, errno));
    }
    const pid_t parent = getpid();
    const pid_t id = fork();
    if (id == 0) {
        become(program.c_str(), pointers.data(), output.number(), parent);
    }
    if (id < 0) {
        return fail(ErrorCode::internal, fmt::format("{} cannot be started", program.string()));
    }
    return ChildProcess(id);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : id_(std::exchange(other.id_, 0)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
}

ChildProcess::~ChildProcess() {
    if (id_ > 0) {
        kill(id_, SIGKILL); // reaches a paused one as well
        waitpid(id_, nullptr, 0);
    }
}

// A stopped process needs a moment to stop; nobody is to be timed before it has.
void ChildProcess::pause() {
    if (id_ > 0 && kill(id_, SIGSTOP) == 0) {
        int status = 0;
        if (waitpid(id_, &status, WUNTRACED) == id_ && !WIFSTOPPED(status)) {
            id_ = 0;
        }
    }
}

void ChildProcess::go_on() {
    if (id_ > 0) {
        kill(id_, SIGCONT);
    }
}

bool ChildProcess::has_ended() {
    if (id_ > 0 && waitpid(id_, nullptr, WNOHANG) == id_) {
        id_ = 0;
    }
    return id_ == 0;
}

uint64_t ChildProcess::peak_memory_bytes() const {
    constexpr std::string_view field = "VmHWM:";
    std::ifstream status(fmt::format("/proc/{}/status", id_));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(field)) {
            return 1024 * std::strtoull(line.c_str() + field.size(), nullptr, 10);
        }
    }
    return 0;
}

void ChildProcess::forget_peak() {
    std::ofstream(fmt::format("/proc/{}/clear_refs", id_)) << "5";
}

Result<int> find_free_port() {
    const Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (listener.number() < 0 || bind(listener.number(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        getsockname(listener.number(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return fail(ErrorCode::io, "no port of 127.0.0.1 can be had for a server to measure");
    }
    return ntohs(address.sin_port);
}

} // namespace pie
