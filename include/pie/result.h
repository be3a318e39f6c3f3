#pragma once

// Errors of the whole project: every function that can fail for a reason outside the program returns a
// Result<T>. No exception crosses a module; what a third-party library throws is caught where it is called.
// Programmer faults are not errors: see src/base/check.h.

#if __cplusplus < 202002L
#error "pie's headers need C++20: compile with -std=c++20, or link pie::pie with CMake"
#endif

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace pie {

enum class ErrorCode {
    invalid_argument, // the caller's input is wrong: a position outside the file, a malformed flag
    not_found,        // a file, model or name that does not exist
    io,               // reading, writing or downloading failed: full disk, no permission, no network
    corrupt,          // data that contradicts itself: wrong checksum, broken GGUF, invalid UTF-8
    unsupported,      // well-formed, but nothing this engine can run
    too_large,        // does not fit into the context or a limit
    cancelled,        // the caller or the user interrupted the work
    busy,             // too many wait already; try again later
    internal,         // the tensor library failed; a bug of ours or theirs
};

// `message` is one sentence for a person: what failed, on what, and what to do about it.
struct Error {
    ErrorCode code;
    std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
    return tl::unexpected<Error>(Error{code, std::move(message)});
}

} // namespace pie

// Propagates the error of `expression` (a Result) out of the calling function.
#define PIE_TRY(expression)                                                                                  \
    do {                                                                                                     \
        if (auto pie_try_result = (expression); !pie_try_result) {                                           \
            return tl::unexpected<::pie::Error>(std::move(pie_try_result).error());                          \
        }                                                                                                    \
    } while (false)

#define PIE_CONCAT_INNER(a, b) a##b
#define PIE_CONCAT(a, b) PIE_CONCAT_INNER(a, b)

// PIE_ASSIGN(auto value, expression): binds the value of a Result, or propagates its error.
#define PIE_ASSIGN(declaration, expression)                                                                  \
    PIE_ASSIGN_INNER(PIE_CONCAT(pie_assign_, __LINE__), declaration, expression)
#define PIE_ASSIGN_INNER(result, declaration, expression)                                                    \
    auto result = (expression);                                                                              \
    if (!result) {                                                                                           \
        return tl::unexpected<::pie::Error>(std::move(result).error());                                      \
    }                                                                                                        \
    declaration = *std::move(result)
