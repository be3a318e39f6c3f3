#pragma once

#include <string_view>

namespace pie {

// Of the repository that this program was built from, with "-dirty" where it had changes; "unknown" where
// there was none. Any thread may call.
std::string_view built_commit();

} // namespace pie
