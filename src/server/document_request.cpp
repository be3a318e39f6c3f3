#include "server/document_request.h"

#include "server/json_fields.h"
#include "server/request_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace pie {
namespace {

constexpr int64_t version_max = int64_t{1} << 52; // JSON's numbers are exact up to there
constexpr int64_t offset_max = int64_t{1} << 40;

bool require(JsonFields& fields, std::string_view name) {
    if (fields.find(name) == nullptr) {
        fields.fail(ErrorCode::invalid_argument, name, "is required");
    }
    return !fields.failed();
}

std::optional<ByteOffset> read_offset(JsonFields& fields, std::string_view name) {
    int64_t offset = -1;
    fields.integer(name, offset, {0, offset_max});
    return offset < 0 ? std::nullopt : std::optional(ByteOffset(static_cast<size_t>(offset)));
}

std::optional<int64_t> read_version(JsonFields& fields) {
    int64_t version = -1;
    fields.integer("version", version, {0, version_max});
    return version < 0 ? std::nullopt : std::optional(version);
}

TextEdit read_edit(JsonFields& fields) {
    TextEdit edit{};
    for (const char* name : {"begin", "end", "text"}) {
        require(fields, name);
    }
    edit.begin = read_offset(fields, "begin").value_or(ByteOffset(0));
    edit.end = read_offset(fields, "end").value_or(ByteOffset(0));
    fields.string("text", edit.text);
    return edit;
}

std::vector<TextEdit> read_edits(JsonFields& fields) {
    std::vector<TextEdit> edits;
    const auto* field = fields.find("edits");
    if (field == nullptr) {
        return edits;
    }
    if (!field->is_array()) {
        fields.fail(ErrorCode::invalid_argument, "edits", "must be an array");
        return edits;
    }
    for (const auto& item : *field) {
        const std::string place = fmt::format("edits[{}]", edits.size());
        if (!item.is_object()) {
            fields.fail(ErrorCode::invalid_argument, place, "must be an object");
            break;
        }
        JsonFields inner(item, place + ".");
        edits.push_back(read_edit(inner));
        fields.take(inner.result());
    }
    return edits;
}

} // namespace

Result<PutDocument> parse_put_document(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    PutDocument put;
    require(fields, "text");
    fields.string("text", put.text);
    put.cursor = read_offset(fields, "cursor").value_or(ByteOffset(put.text.size()));
    put.version = read_version(fields).value_or(put.version);
    put.context.file_name = "filename";
    put.context.shows_file_name = fields.find("filename") != nullptr;
    fields.string("filename", put.context.file_name);
    put.context.chunks = read_chunks(fields, "context");
    PIE_TRY(fields.result());
    return put;
}

Result<PatchDocument> parse_patch_document(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    PatchDocument patch;
    require(fields, "version");
    patch.version = read_version(fields).value_or(0);
    patch.edits = read_edits(fields);
    const auto cursor = read_offset(fields, "cursor");
    if (!cursor && patch.edits.empty()) {
        fields.fail(ErrorCode::invalid_argument, "cursor", "is required where there are no edits");
    }
    PIE_TRY(fields.result());
    patch.cursor = cursor ? *cursor : patch.edits.back().begin + patch.edits.back().text.size();
    return patch;
}

Result<CompleteDocument> parse_complete_document(std::string_view body) {
    PIE_ASSIGN(const nlohmann::json object, parse_json_object(body));
    JsonFields fields(object);
    CompleteDocument complete;
    complete.place.version = read_version(fields);
    complete.place.cursor = read_offset(fields, "cursor");
    complete.generation = read_generation(fields);
    PIE_TRY(fields.result());
    return complete;
}

} // namespace pie
