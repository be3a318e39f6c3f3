#pragma once

// Texts in the JSON objects of data files.
//
// Thread rule: pure functions.

#include <pie/result.h>

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace pie {

// Errors: corrupt (no object, no such field, or not a text); the message has no place.
Result<std::string> text_field(const nlohmann::json& object, const char* name);

} // namespace pie
