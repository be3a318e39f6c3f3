#include "base/interrupt.h"

#include <csignal>

namespace pie {
namespace {

std::atomic<bool> flag{false};
std::atomic<int> first_signal{SIGINT};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "a signal handler may touch lock-free atomics only");

extern "C" void on_signal(int signal_number) {
    if (flag.exchange(true)) {
        std::signal(signal_number, SIG_DFL);
        std::raise(signal_number);
    } else {
        first_signal.store(signal_number);
    }
}

} // namespace

void install_interrupt_handlers() {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    // Interrupted reads and writes go on by themselves; the work between them looks at the flag.
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    struct sigaction hangup = {};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, nullptr);
    }
}

bool interrupted() {
    return flag.load(std::memory_order_relaxed);
}

int interrupting_signal() {
    return first_signal.load();
}

const std::atomic<bool>& interrupt_flag() {
    return flag;
}

void clear_interrupt() {
    flag.store(false);
    first_signal.store(SIGINT);
}

tl::unexpected<Error> fail_interrupted(const std::string& consequence) {
    return fail(ErrorCode::cancelled, "interrupted; " + consequence);
}

} // namespace pie
