#pragma once

// What becomes of fetching a model from one source. A fault of the source (unreachable, gone, another file
// than expected) is a reason to try the next one; a fault of this machine (full disk, no permission, Ctrl-C)
// is not.

#include <pie/result.h>

#include <string>
#include <utility>

namespace pie {

enum class FetchFault { source, local };

struct FetchError {
    FetchFault fault;
    Error error;
};

using FetchResult = tl::expected<void, FetchError>;

inline tl::unexpected<FetchError> source_fault(ErrorCode code, std::string message) {
    return tl::unexpected<FetchError>(FetchError{FetchFault::source, Error{code, std::move(message)}});
}

inline tl::unexpected<FetchError> local_fault(Error error) {
    return tl::unexpected<FetchError>(FetchError{FetchFault::local, std::move(error)});
}

inline FetchResult as_local_fault(const Result<void>& result) {
    return result ? FetchResult() : FetchResult(local_fault(result.error()));
}

} // namespace pie
