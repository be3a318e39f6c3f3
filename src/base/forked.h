#pragma once

// Work that cannot be stopped once it is called, or that may end the program: it runs in a copy of this
// process, which an interruption ends at once, and whose crash is an error here. Of what it does only the
// files stay; memory that it changes is its own, and what it prints is lost.
//
// Thread rule: called while the process has no other thread, as the copy has the calling one alone.

#include <pie/result.h>

#include <functional>
#include <string>

namespace pie {

// `meanwhile` is called every now and then until the work has ended. Polls interrupted(). Errors: those of
// `work`; cancelled, with `consequence` as of fail_interrupted(); internal (no process can be started, or it
// crashed).
Result<void> run_forked(const std::function<Result<void>()>& work, const std::function<void()>& meanwhile,
                        const std::string& consequence);

} // namespace pie
