#pragma once

// A real edit to replay keystroke by keystroke: functions of this project before and after a commit
// (91212c7).
//
// Thread rule: constants.

#include <string_view>

namespace pie {

extern const std::string_view replay_before;
extern const std::string_view replay_after;

} // namespace pie
