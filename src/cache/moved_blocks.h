#pragma once

// Finds blocks of tokens that changed their order, which no edit script can keep.

#include "cache/pairing.h"

#include <cstdint>

namespace pie {

// Pairs equal blocks of at least `length_min` tokens (1 or more), longest first within a factor of two. A
// block may take unpaired tokens, and those of runs half its length or shorter.
void pair_moved_blocks(Pairing& pairing, int32_t length_min);

} // namespace pie
