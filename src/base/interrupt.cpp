#include "base/interrupt.h"

#include <csignal>

namespace pie {
namespace {

std::atomic<bool> flag{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

extern "C" void on_signal(int signal_number) {
    if (flag.exchange(true)) {
        std::signal(signal_number, SIG_DFL);
        std::raise(signal_number);
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
}

bool interrupted() {
    return flag.load(std::memory_order_relaxed);
}

const std::atomic<bool>& interrupt_flag() {
    return flag;
}

void clear_interrupt() {
    flag.store(false);
}

tl::unexpected<Error> fail_interrupted(const std::string& consequence) {
    return fail(ErrorCode::cancelled, "interrupted; " + consequence);
}

} // namespace pie
