#include "eval/rows.h"

#include "base/sha256.h"
#include "eval/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace pie {
namespace {

tl::unexpected<Error> fail_at(const std::string& place, ErrorCode code, const std::string& message) {
    return fail(code, fmt::format("{}: {}", place, message));
}

// The fields that a row may lack.
Result<void> parse_optional_fields(const nlohmann::json& object, EvalRow& row) {
    for (const auto& [name, member] :
         {std::pair("setting", &EvalRow::setting), std::pair("test", &EvalRow::test)}) {
        if (object.contains(name)) {
            PIE_ASSIGN(row.*member, text_field(object, name));
        }
    }
    if (!object.contains("steps")) {
        return {};
    }
    const nlohmann::json& steps = object["steps"];
    if (!steps.is_array() || !std::ranges::all_of(steps, [](const auto& step) { return step.is_string(); })) {
        return fail(ErrorCode::corrupt, "the row's 'steps' is not a list of strings");
    }
    row.steps = steps.get<std::vector<std::string>>();
    return {};
}

Result<void> parse_fields(const nlohmann::json& object, EvalRow& row) {
    const std::pair<const char*, std::string EvalRow::*> fields[] = {
        {"id", &EvalRow::id},         {"kind", &EvalRow::kind},   {"language", &EvalRow::language},
        {"before", &EvalRow::before}, {"after", &EvalRow::after}, {"target", &EvalRow::target}};
    for (const auto& [name, member] : fields) {
        PIE_ASSIGN(row.*member, text_field(object, name));
    }
    return parse_optional_fields(object, row);
}

struct FoundMarker {
    size_t at = std::string_view::npos;
    std::string_view text;
};

FoundMarker first_marker(std::string_view text) {
    FoundMarker first;
    for (const std::string_view marker : row_markers) {
        if (const size_t at = text.find(marker); at < first.at) {
            first = {at, marker};
        }
    }
    return first;
}

std::optional<TokenId> token_of(const FimMarkers& markers, std::string_view marker) {
    return marker == prefix_marker   ? std::optional(markers.prefix)
           : marker == suffix_marker ? markers.suffix
                                     : markers.middle;
}

Result<std::vector<TokenId>> encode_prompt(std::string_view text, const char* field, const EvalRow& row,
                                           const Vocabulary& vocabulary) {
    std::vector<TokenId> tokens;
    if (const auto beginning = vocabulary.beginning()) {
        tokens.push_back(*beginning);
    }
    const auto append = [&](std::string_view part) {
        const std::vector<TokenId> made = vocabulary.tokenize(part);
        tokens.insert(tokens.end(), made.begin(), made.end());
    };
    for (FoundMarker marker = first_marker(text); !marker.text.empty(); marker = first_marker(text)) {
        const auto& markers = vocabulary.fim();
        const auto token = markers ? token_of(*markers, marker.text) : std::nullopt;
        if (!token) {
            return fail_at(row.place, ErrorCode::unsupported,
                           fmt::format("'{}' holds {}, and this model has no such marker for filling in the "
                                       "middle; take a model that has it",
                                       field, marker.text));
        }
        append(text.substr(0, marker.at));
        tokens.push_back(*token);
        text.remove_prefix(marker.at + marker.text.size());
    }
    append(text);
    if (tokens.empty()) {
        return fail_at(row.place, ErrorCode::corrupt, fmt::format("'{}' is empty", field));
    }
    return tokens;
}

} // namespace

Result<EvalRow> parse_row(std::string_view line, std::string place) {
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) {
        return fail_at(place, ErrorCode::corrupt, "the line is not a JSON object in UTF-8");
    }
    EvalRow row;
    row.place = std::move(place);
    if (auto parsed = parse_fields(object, row); !parsed) {
        return fail_at(row.place, parsed.error().code, parsed.error().message);
    }
    return row;
}

std::string row_line(const EvalRow& row) {
    nlohmann::ordered_json object = {{"id", row.id},         {"kind", row.kind},   {"language", row.language},
                                     {"before", row.before}, {"after", row.after}, {"target", row.target}};
    if (!row.setting.empty()) {
        object["setting"] = row.setting;
    }
    if (!row.steps.empty()) {
        object["steps"] = row.steps;
    }
    if (!row.test.empty()) {
        object["test"] = row.test;
    }
    // A file's name need not be UTF-8, and ids hold names.
    return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string row_digest(const EvalRow& row) {
    constexpr size_t digits = 16;
    Sha256 sha;
    const auto add = [&sha](const std::string& text) {
        // Their lengths stand between the texts, so that no two rows are the same bytes.
        sha.update(fmt::format("{}:", text.size()));
        sha.update(text);
    };
    for (const std::string* text : {&row.before, &row.after, &row.target}) {
        add(*text);
    }
    std::ranges::for_each(row.steps, add);
    return sha.hex_digest().substr(0, digits);
}

Result<EncodedRow> encode_row(const EvalRow& row, const Vocabulary& vocabulary) {
    EncodedRow encoded;
    PIE_ASSIGN(encoded.before, encode_prompt(row.before, "before", row, vocabulary));
    PIE_ASSIGN(encoded.after, encode_prompt(row.after, "after", row, vocabulary));
    for (const std::string& step : row.steps) {
        PIE_ASSIGN(encoded.steps.emplace_back(), encode_prompt(step, "steps", row, vocabulary));
    }
    encoded.target = vocabulary.tokenize(row.target);
    if (encoded.target.empty()) {
        return fail_at(row.place, ErrorCode::corrupt, "'target' is empty");
    }
    return encoded;
}

} // namespace pie
