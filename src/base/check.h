#pragma once

// Programmer faults: a broken invariant ends the program at once, in every build, with the place and the
// reason. Never for input, files or the network; those are Errors (include/pie/result.h).

#include <cstdio>
#include <cstdlib>

#define PIE_CHECK(condition, message)                                                                        \
    do {                                                                                                     \
        if (!(condition)) [[unlikely]] {                                                                     \
            std::fprintf(stderr, "%s:%d: broken invariant: %s (%s)\n", __FILE__, __LINE__, #condition,       \
                         message);                                                                           \
            std::abort();                                                                                    \
        }                                                                                                    \
    } while (false)
