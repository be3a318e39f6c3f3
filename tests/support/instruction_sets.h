#pragma once

// For tests of SIMD kernels that Highway chooses at run time.

#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <string>

namespace pie::testing {

// Runs `check` once for every instruction set that both the binary and the machine have, in which kernels are
// called meanwhile. One thread at a time.
template <class Check>
void for_each_instruction_set(Check check) {
    const auto targets = hwy::SupportedAndGeneratedTargets();
    REQUIRE(!targets.empty());
    for (const int64_t target : targets) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
        INFO(std::string(hwy::TargetName(target)));
        check();
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

} // namespace pie::testing
