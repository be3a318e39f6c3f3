#pragma once

// The built pie-lab as its tests see it, with pie beside it.
//
// Thread rule: the test's thread.

#include "support/program_fixture.h"

#include <functional>
#include <string>
#include <vector>

namespace pie {

struct Lab : Program {
    Ended run_lab(const std::vector<std::string>& words, const std::function<void(pid_t)>& meanwhile = {}) {
        return run_program(PIE_LAB_PROGRAM, words, meanwhile);
    }
};

} // namespace pie
