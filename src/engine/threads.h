#pragma once

#include <cstdint>

namespace pie {

// Cores, not hardware threads: two threads of one core share its vector units, which are what a model uses.
int32_t physical_core_count();

} // namespace pie
