#include "eval/rows.h"

#include "base/files.h"
#include "base/sha256.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace pie {
namespace {

constexpr uint64_t file_bytes_max = 4'000'000'000;

tl::unexpected<Error> fail_at(const std::string& place, ErrorCode code, const std::string& message) {
    return fail(code, fmt::format("{}: {}", place, message));
}

Result<std::string> string_field(const nlohmann::json& object, const char* name, const std::string& place) {
    const auto found = object.find(name);
    if (found == object.end()) {
        return fail_at(place, ErrorCode::corrupt, fmt::format("the row has no '{}'", name));
    }
    if (!found->is_string()) {
        return fail_at(place, ErrorCode::corrupt, fmt::format("the row's '{}' is not a string", name));
    }
    return found->get<std::string>();
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

TokenId token_of(const FimMarkers& markers, std::string_view marker) {
    return marker == prefix_marker   ? markers.prefix
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
        const auto markers = vocabulary.fim();
        if (!markers) {
            return fail_at(row.place, ErrorCode::unsupported,
                           fmt::format("'{}' holds {}, and this model has no markers for filling in the "
                                       "middle; take a model that has them",
                                       field, marker.text));
        }
        append(text.substr(0, marker.at));
        tokens.push_back(token_of(*markers, marker.text));
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
    const std::pair<const char*, std::string EvalRow::*> fields[] = {
        {"id", &EvalRow::id},         {"kind", &EvalRow::kind},   {"language", &EvalRow::language},
        {"before", &EvalRow::before}, {"after", &EvalRow::after}, {"target", &EvalRow::target}};
    for (const auto& [name, member] : fields) {
        PIE_ASSIGN(row.*member, string_field(object, name, row.place));
    }
    return row;
}

Result<std::vector<EvalRow>> read_rows(const std::filesystem::path& path) {
    PIE_ASSIGN(const std::string content, read_file(path, file_bytes_max));
    std::vector<EvalRow> rows;
    std::map<std::string, std::string> place_of; // by id
    std::string_view rest = content;
    for (size_t number = 1; !rest.empty(); ++number) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        PIE_ASSIGN(EvalRow row, parse_row(line, fmt::format("{}:{}", path.string(), number)));
        const auto [first, is_new] = place_of.emplace(row.id, row.place);
        if (!is_new) {
            return fail_at(row.place, ErrorCode::corrupt,
                           fmt::format("the id '{}' stands at {} already", row.id, first->second));
        }
        rows.push_back(std::move(row));
    }
    if (rows.empty()) {
        return fail(ErrorCode::corrupt,
                    fmt::format("there is no row in '{}'; 'pie eval build' makes some", path.string()));
    }
    return rows;
}

std::string row_line(const EvalRow& row) {
    const nlohmann::ordered_json object = {
        {"id", row.id},         {"kind", row.kind},   {"language", row.language},
        {"before", row.before}, {"after", row.after}, {"target", row.target}};
    // A file's name need not be UTF-8, and ids hold names.
    return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string row_digest(const EvalRow& row) {
    constexpr size_t digits = 16;
    Sha256 sha;
    for (const std::string* text : {&row.before, &row.after, &row.target}) {
        // Their lengths stand between the texts, so that no two rows are the same bytes.
        sha.update(fmt::format("{}:", text->size()));
        sha.update(*text);
    }
    return sha.hex_digest().substr(0, digits);
}

Result<EncodedRow> encode_row(const EvalRow& row, const Vocabulary& vocabulary) {
    EncodedRow encoded;
    PIE_ASSIGN(encoded.before, encode_prompt(row.before, "before", row, vocabulary));
    PIE_ASSIGN(encoded.after, encode_prompt(row.after, "after", row, vocabulary));
    encoded.target = vocabulary.tokenize(row.target);
    if (encoded.target.empty()) {
        return fail_at(row.place, ErrorCode::corrupt, "'target' is empty");
    }
    return encoded;
}

} // namespace pie
