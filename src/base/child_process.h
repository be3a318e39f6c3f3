#pragma once

// Another program that runs beside this one: it can be paused and continued, tells the most memory that it
// had, and does not outlive this process, however that ends. Keys that interrupt this program at a terminal
// do not reach it.
//
// Thread rule: one thread at a time.

#include <pie/result.h>

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pie {

class ChildProcess {
  public:
    // Its output goes to the file `log`. Errors: not_found (no such program, or folder for the log), io,
    // internal.
    static Result<ChildProcess> start(const std::filesystem::path& program,
                                      const std::vector<std::string>& arguments,
                                      const std::filesystem::path& log);
    // Ends it at once.
    ~ChildProcess();
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;

    void pause();
    void go_on();
    bool has_ended();

    // The most that was resident since the start or the last forget_peak(); 0 where the system does not tell.
    uint64_t peak_memory_bytes() const;
    void forget_peak();

  private:
    explicit ChildProcess(pid_t id) : id_(id) {}

    pid_t id_; // 0: ended
};

// A TCP port of the loopback interface that nobody listens on at the moment. Errors: io.
Result<int> find_free_port();

} // namespace pie
