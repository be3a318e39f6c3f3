#include "server/json_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <system_error>

namespace pie {
namespace {

// No request needs more, and a body of nothing but brackets would fill a hundred times its size in memory.
constexpr int nesting_max = 32;

// The prompt of a large context as tokens has room. A value takes up to 100 bytes, fifty times what it may
// take in a body.
constexpr size_t values_max = 300'000;

// How much of a body parsing would make, without parsing it.
struct Extent {
    int depth_max = 0;
    size_t n_values = 1; // at most; keys count
};

Extent extent_of(std::string_view body) {
    Extent extent;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < body.size(); ++i) {
        const char c = body[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            extent.depth_max = std::max(extent.depth_max, ++depth);
            ++extent.n_values;
        } else if (c == ']' || c == '}') {
            --depth;
        } else if (c == ',' || c == ':') {
            ++extent.n_values;
        }
    }
    return extent;
}

constexpr size_t escape_bytes = 6; // \u and four hexadecimal digits

// Of the escape that begins at `at`. Nothing where there is none.
std::optional<unsigned> escaped_unit(std::string_view body, size_t at) {
    const std::string_view escape = body.substr(std::min(at, body.size()), escape_bytes);
    if (escape.size() < escape_bytes || !escape.starts_with("\\u")) {
        return std::nullopt;
    }
    unsigned unit = 0;
    const char* const end = escape.data() + escape.size();
    const auto [read_to, error] = std::from_chars(escape.data() + 2, end, unit, 16);
    return error == std::errc() && read_to == end ? std::optional(unit) : std::nullopt;
}

bool is_high_surrogate(std::optional<unsigned> unit) {
    return unit && *unit >= 0xD800 && *unit <= 0xDBFF;
}

bool is_low_surrogate(std::optional<unsigned> unit) {
    return unit && *unit >= 0xDC00 && *unit <= 0xDFFF;
}

// Where the escapes of halves of surrogate pairs begin. JSON has a backslash in strings alone, where it
// takes what follows with it.
std::vector<size_t> lone_surrogates(std::string_view body) {
    std::vector<size_t> found;
    size_t at = body.find('\\');
    while (at != std::string_view::npos) {
        const auto unit = escaped_unit(body, at);
        size_t behind = at + 2;
        if (is_high_surrogate(unit) && is_low_surrogate(escaped_unit(body, at + escape_bytes))) {
            behind = at + 2 * escape_bytes;
        } else if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
            found.push_back(at);
        }
        at = body.find('\\', behind);
    }
    return found;
}

nlohmann::json parse_mended(std::string_view body) {
    const std::vector<size_t> lone = lone_surrogates(body);
    if (lone.empty()) {
        return nlohmann::json::parse(body);
    }
    std::string mended(body);
    for (const size_t at : lone) {
        mended.replace(at, escape_bytes, "\\uFFFD");
    }
    return nlohmann::json::parse(mended);
}

tl::unexpected<Error> invalid(std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message));
}

} // namespace

Result<nlohmann::json> parse_json_object(std::string_view body) {
    if (body.empty()) {
        return invalid("the body is empty; send a JSON object");
    }
    const Extent extent = extent_of(body);
    if (extent.depth_max > nesting_max) {
        return invalid(fmt::format("the body is nested more than {} levels deep", nesting_max));
    }
    if (extent.n_values > values_max) {
        return pie::fail(
            ErrorCode::too_large,
            fmt::format("the body holds more than {} values; send less, or a prompt as text", values_max));
    }
    try {
        nlohmann::json parsed = parse_mended(body);
        if (!parsed.is_object()) {
            return invalid("the body is not a JSON object");
        }
        return parsed;
    } catch (const nlohmann::json::parse_error& error) {
        return invalid(fmt::format("the body is not valid JSON in UTF-8: it is wrong at byte {} of {}",
                                   error.byte, body.size()));
    } catch (const nlohmann::json::exception&) {
        return invalid("the body holds a number that is too large");
    }
}

const nlohmann::json* JsonFields::find(std::string_view name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::string_view JsonFields::first_of(std::initializer_list<std::string_view> names) const {
    const auto found =
        std::ranges::find_if(names, [this](std::string_view name) { return find(name) != nullptr; });
    return found == names.end() ? *(names.end() - 1) : *found;
}

void JsonFields::fail(ErrorCode code, std::string_view name, std::string_view what) {
    if (!failed()) {
        result_ = pie::fail(code, fmt::format("\"{}{}\" {}", place_, name, what));
    }
}

void JsonFields::take(Result<void> result) {
    if (!failed()) {
        result_ = std::move(result);
    }
}

void JsonFields::boolean(std::string_view name, bool& value) {
    if (const auto* field = wanted(name)) {
        if (field->is_boolean()) {
            value = field->get<bool>();
        } else {
            fail(ErrorCode::invalid_argument, name, "must be true or false");
        }
    }
}

void JsonFields::string_in(std::string_view name, const nlohmann::json& item, std::string& value) {
    if (failed()) {
        return;
    }
    if (!item.is_string()) {
        fail(ErrorCode::invalid_argument, name, "must be a string");
    } else if (item.get_ref<const std::string&>().find('\0') != std::string::npos) {
        fail(ErrorCode::invalid_argument, name, "holds a NUL character, which is not taken; leave it out");
    } else {
        value = item.get_ref<const std::string&>();
    }
}

void JsonFields::string(std::string_view name, std::string& value) {
    if (const auto* field = wanted(name)) {
        string_in(name, *field, value);
    }
}

void JsonFields::strings(std::string_view name, std::vector<std::string>& values) {
    const auto* field = wanted(name);
    if (field == nullptr) {
        return;
    }
    const bool all_strings =
        field->is_array() && std::ranges::all_of(*field, [](const auto& item) { return item.is_string(); });
    if (!all_strings) {
        fail(ErrorCode::invalid_argument, name, "must be an array of strings");
        return;
    }
    values.clear();
    for (const auto& item : *field) {
        string_in(name, item, values.emplace_back());
    }
}

bool JsonFields::read_number(std::string_view name, double& value) {
    const auto* field = wanted(name);
    if (field == nullptr) {
        return false;
    }
    if (!field->is_number()) {
        fail(ErrorCode::invalid_argument, name, "must be a number");
        return false;
    }
    value = field->get<double>();
    return true;
}

// Integers up to 2^53 are exact as double, and no limit here is above that.
void JsonFields::integer(std::string_view name, int64_t& value, Limits<int64_t> limits) {
    double read = 0;
    if (!read_number(name, read)) {
        return;
    }
    if (read != std::floor(read) || read < static_cast<double>(limits.min) ||
        read > static_cast<double>(limits.max)) {
        fail(ErrorCode::invalid_argument, name,
             fmt::format("must be an integer from {} to {}", limits.min, limits.max));
        return;
    }
    value = static_cast<int64_t>(read);
}

void JsonFields::integer(std::string_view name, int32_t& value, Limits<int32_t> limits) {
    int64_t wide = value;
    integer(name, wide, Limits<int64_t>{limits.min, limits.max});
    value = static_cast<int32_t>(wide);
}

void JsonFields::number(std::string_view name, double& value, Limits<double> limits) {
    double read = 0;
    if (!read_number(name, read)) {
        return;
    }
    if (read < limits.min || read > limits.max) {
        fail(ErrorCode::invalid_argument, name,
             fmt::format("must be a number from {} to {}", limits.min, limits.max));
        return;
    }
    value = read;
}

void JsonFields::clamped(std::string_view name, float& value, Limits<float> limits) {
    double read = 0;
    if (read_number(name, read)) {
        value = static_cast<float>(
            std::clamp(read, static_cast<double>(limits.min), static_cast<double>(limits.max)));
    }
}

void JsonFields::clamped(std::string_view name, int32_t& value, Limits<int32_t> limits) {
    double read = 0;
    if (read_number(name, read)) {
        value = static_cast<int32_t>(
            std::clamp(read, static_cast<double>(limits.min), static_cast<double>(limits.max)));
    }
}

} // namespace pie
