#pragma once

// Ctrl-C, SIGTERM and SIGHUP as a flag that long work polls. The program installs the handlers once, in main;
// after that the first signal only sets the flag, so that files are left in an order from which the work can
// go on, and a second one ends the process at once. Any thread may ask.

#include <pie/result.h>

#include <atomic>
#include <string>

namespace pie {

// A SIGHUP that is ignored already, as under nohup, stays ignored.
void install_interrupt_handlers();

bool interrupted();

// Of the first signal; SIGINT where none came.
int interrupting_signal();

// The flag itself, for work that is handed one to watch.
const std::atomic<bool>& interrupt_flag();

// For work that handled an interruption itself and goes on, and for tests.
void clear_interrupt();

// The error of work that stops because of interrupted(). `consequence` says what becomes of what was done.
tl::unexpected<Error> fail_interrupted(const std::string& consequence);

} // namespace pie
