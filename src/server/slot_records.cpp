#include "server/slot_records.h"

#include "base/files.h"
#include "server/json_fields.h"
#include "server/request_fields.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <utf8.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace pie {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int32_t record_format = 1;
constexpr uint64_t record_bytes_max = 256'000'000;
constexpr std::string_view record_suffix = ".json";

// Of a prompt that was given as tokens, which may end within a character.
PromptContent as_utf8(const PromptContent& content) {
    PromptContent valid;
    valid.chunks = content.chunks;
    utf8::replace_invalid(content.text.begin(), content.text.end(), std::back_inserter(valid.text));
    valid.cursor = valid.text.size();
    return valid;
}

Result<PromptContent> parse_content(std::string_view text) {
    PIE_ASSIGN(const json object, parse_json_object(text));
    JsonFields fields(object);
    int32_t format = 0;
    fields.integer("format", format, Limits<int32_t>{0, 1'000'000});
    if (!fields.failed() && format != record_format) {
        fields.fail(ErrorCode::unsupported, "format",
                    fmt::format("is {}, and not {}", format, record_format));
    }
    PromptContent content;
    fields.string("text", content.text);
    auto cursor = static_cast<int64_t>(content.text.size());
    fields.integer("cursor", cursor, Limits<int64_t>{0, cursor});
    content.cursor = static_cast<size_t>(cursor);
    content.chunks = read_chunks(fields, "chunks");
    PIE_TRY(fields.result());
    return content;
}

std::optional<int32_t> slot_of(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix) || !name.ends_with(record_suffix)) {
        return std::nullopt;
    }
    name.remove_prefix(prefix.size());
    name.remove_suffix(std::min(record_suffix.size(), name.size()));
    int32_t slot = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), slot);
    const bool is_number = error == std::errc() && end == name.data() + name.size() && slot >= 0;
    return is_number ? std::optional(slot) : std::nullopt;
}

} // namespace

Result<void> write_content(const fs::path& path, const PromptContent& content) {
    if (!utf8::is_valid(content.text)) {
        return write_content(path, as_utf8(content));
    }
    json chunks = json::array();
    for (const ContextChunk& chunk : content.chunks) {
        chunks.push_back({{"filename", chunk.file_name}, {"text", chunk.text}});
    }
    const json object = {{"format", record_format},
                         {"text", content.text},
                         {"cursor", content.cursor},
                         {"chunks", std::move(chunks)}};
    return write_file_atomic(path, object.dump(-1, ' ', false, json::error_handler_t::replace),
                             FileAccess::owner_only);
}

Result<PromptContent> read_content(const fs::path& path) {
    PIE_ASSIGN(const std::string text, read_file(path, record_bytes_max, FileKind::regular));
    auto content = parse_content(text);
    if (!content) {
        const ErrorCode code =
            content.error().code == ErrorCode::unsupported ? ErrorCode::unsupported : ErrorCode::corrupt;
        return fail(code,
                    fmt::format("'{}' is no record of a slot: {}", path.string(), content.error().message));
    }
    return content;
}

std::vector<SlotContent> SlotRecords::load() const {
    std::vector<std::pair<fs::file_time_type, SlotContent>> found;
    std::error_code error;
    for (fs::directory_iterator file(folder_, error); !error && file != fs::directory_iterator();
         file.increment(error)) {
        const auto slot = slot_of(file->path().filename().string(), prefix_);
        if (!slot) {
            continue;
        }
        auto content = read_content(file->path());
        if (!content) {
            spdlog::warn("{}; its session begins anew", content.error().message);
            continue;
        }
        std::error_code gone;
        found.push_back({file->last_write_time(gone), {.slot = *slot, .content = *std::move(content)}});
    }
    std::ranges::sort(found, {}, [](const auto& entry) { return entry.first; });
    std::vector<SlotContent> slots;
    for (auto& entry : found) {
        slots.push_back(std::move(entry.second));
    }
    return slots;
}

Result<void> SlotRecords::write(const SlotContent& slot) const {
    PIE_TRY(create_folder(folder_, FileAccess::owner_only));
    return write_content(folder_ / fmt::format("{}{}{}", prefix_, slot.slot, record_suffix), slot.content);
}

} // namespace pie
