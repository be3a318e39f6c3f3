#pragma once

// Reads the fields of a JSON object into variables of known types and ranges. The first thing that is wrong
// is kept, and everything after it is skipped, so that a request is read from top to bottom and asked once
// how it went. A field that is absent or null leaves its variable as it was: null is how clients ask for the
// default.
//
// Thread rule: one thread at a time. The object outlives the reader.

#include <pie/result.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// A body as a JSON object. Half a surrogate pair, which a text cut within a character is written with, is
// read as U+FFFD. Errors: invalid_argument (no JSON, no object, nested too deeply), too_large (more values
// than any request needs, which would fill many times the body's size in memory).
Result<nlohmann::json> parse_json_object(std::string_view body);

inline constexpr int32_t int_max = std::numeric_limits<int32_t>::max();

template <typename T>
struct Limits {
    T min;
    T max;
};

class JsonFields {
  public:
    // `place` stands before the names in messages, as in "input_extra[3].".
    explicit JsonFields(const nlohmann::json& object, std::string place = {})
        : object_(object), place_(std::move(place)) {}

    // Of an object inside of this one.
    JsonFields within(const nlohmann::json& object, std::string_view name) const {
        return JsonFields(object, place_ + std::string(name) + ".");
    }

    // Null where the field is absent, or null in the request.
    const nlohmann::json* find(std::string_view name) const;

    void boolean(std::string_view name, bool& value);
    // No string may hold a NUL character, wherever it stands: no source text has one.
    void string(std::string_view name, std::string& value);
    void strings(std::string_view name, std::vector<std::string>& values);
    // Numbers outside of the limits are errors.
    void integer(std::string_view name, int64_t& value, Limits<int64_t> limits);
    void integer(std::string_view name, int32_t& value, Limits<int32_t> limits);
    void number(std::string_view name, double& value, Limits<double> limits);
    // Numbers outside of the limits become the nearest inside, as llama-server takes them.
    void clamped(std::string_view name, float& value, Limits<float> limits);
    void clamped(std::string_view name, int32_t& value, Limits<int32_t> limits);

    // A string that stands in the field `name`.
    void string_in(std::string_view name, const nlohmann::json& item, std::string& value);

    // The first of the names that is there, else the last.
    std::string_view first_of(std::initializer_list<std::string_view> names) const;

    void fail(ErrorCode code, std::string_view name, std::string_view what);
    void take(Result<void> result);
    bool failed() const { return !result_.has_value(); }
    const Result<void>& result() const { return result_; }

  private:
    // Null where there is nothing to read.
    const nlohmann::json* wanted(std::string_view name) const { return failed() ? nullptr : find(name); }
    bool read_number(std::string_view name, double& value);

    const nlohmann::json& object_;
    std::string place_;
    Result<void> result_;
};

} // namespace pie
