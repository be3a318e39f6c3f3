// Fuzzes live documents: a text, a zero byte, and the body of a request. A patch that is let through is
// applied to a Document, and by hand to a plain string: both refuse the same edits, and hold the same text.

#include "base/check.h"
#include "server/document_request.h"
#include "server/fuzz/fuzz_checks.h"
#include "text/document.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pie {
namespace {

using nlohmann::json;

bool is_text(std::string_view text) {
    return utf8::is_valid(text) && text.find('\0') == std::string_view::npos;
}

// None: the edit is of no text like this one.
std::optional<std::string> naively_edited(const std::string& text, const TextEdit& edit) {
    const size_t begin = edit.begin.value;
    const size_t end = edit.end.value;
    if (begin > end || end > text.size()) {
        return std::nullopt;
    }
    // Cut inside a character, neither side is UTF-8.
    const std::string before = text.substr(0, begin);
    const std::string behind = text.substr(end);
    if (!utf8::is_valid(before) || !utf8::is_valid(behind) || !is_text(edit.text)) {
        return std::nullopt;
    }
    return before + edit.text + behind;
}

void check_put(std::string_view body) {
    const auto put = parse_put_document(body);
    if (!fuzz::is_accepted(put)) {
        return;
    }
    const json object = fuzz::object_of(body);
    PIE_CHECK(put->text == object.at("text"), "the text is the body's");
    PIE_CHECK(put->version >= 0, "versions count from 0");
    const auto cursor = object.find("cursor");
    const bool is_given = cursor != object.end() && !cursor->is_null();
    PIE_CHECK(put->cursor.value == (is_given ? cursor->get<size_t>() : put->text.size()),
              "the cursor is where the body says, or at the end");
    fuzz::check_chunks(put->context.chunks, object, "context");
}

void check_complete(std::string_view body) {
    const auto complete = parse_complete_document(body);
    if (fuzz::is_accepted(complete)) {
        PIE_CHECK(!complete->place.version || *complete->place.version >= 0, "versions count from 0");
        fuzz::check_generation(complete->generation);
    }
}

void check_patch(std::string_view text, std::string_view body) {
    auto document = Document::from_text(std::string(text));
    PIE_CHECK(document.has_value() == is_text(text), "a document is UTF-8");
    const auto patch = parse_patch_document(body);
    if (!fuzz::is_accepted(patch) || !document) {
        return;
    }
    std::string naive(text);
    for (const TextEdit& edit : patch->edits) {
        const auto edited = naively_edited(naive, edit);
        const auto applied = document->apply(edit);
        PIE_CHECK(applied.has_value() == edited.has_value(), "edits that make no sense are refused");
        naive = edited.value_or(naive);
        PIE_CHECK(document->text() == naive, "an edit is what it says, or nothing");
    }
    PIE_CHECK(utf8::is_valid(document->text()), "the text stays UTF-8");
    const auto n_breaks = static_cast<size_t>(std::ranges::count(naive, '\n'));
    PIE_CHECK(document->line_count() == n_breaks + 1, "the index knows each line");
}

} // namespace
} // namespace pie

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t zero = std::min(input.find('\0'), input.size());
    const std::string_view text = input.substr(0, zero);
    const std::string_view body = input.substr(std::min(zero + 1, input.size()));
    pie::check_put(body);
    pie::check_complete(body);
    pie::check_patch(text, body);
    return 0;
}
