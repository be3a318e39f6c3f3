#include "eval/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pie {

Result<std::string> text_field(const nlohmann::json& object, const char* name) {
    if (!object.is_object() || !object.contains(name)) {
        return fail(ErrorCode::corrupt, fmt::format("the row has no '{}'", name));
    }
    const nlohmann::json& field = object[name];
    if (!field.is_string()) {
        return fail(ErrorCode::corrupt, fmt::format("the row's '{}' is not a string", name));
    }
    return field.get<std::string>();
}

} // namespace pie
