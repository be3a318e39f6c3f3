#include "bench/fill_prompt.h"

#include <llama.h>
#include <nlohmann/json.hpp>

#include <string_view>

namespace pie {
namespace {

std::string name_of(const Vocabulary& vocabulary, std::optional<TokenId> token) {
    return token ? llama_vocab_get_text(vocabulary.get(), token->value) : "";
}

// What stands before the document, as llama-server's /infill writes it.
std::string shown_before(const DocumentState& state, const MarkerNames& names) {
    std::string text;
    if (!names.repository.empty()) {
        text += names.repository + "myproject\n";
    }
    for (const ContextChunk& chunk : state.chunks) {
        text += names.file_separator.empty() ? "\n\n--- snippet ---\n\n"
                                             : names.file_separator + chunk.file_name + "\n";
        text += chunk.text;
    }
    if (!names.file_separator.empty()) {
        text += names.file_separator + "filename\n";
    }
    return text;
}

size_t line_start(const DocumentState& state) {
    return state.cursor == 0 ? 0 : state.text.rfind('\n', state.cursor - 1) + 1;
}

} // namespace

Result<MarkerNames> marker_names(const Vocabulary& vocabulary) {
    const std::optional<FimMarkers> markers = vocabulary.fim();
    if (!markers) {
        return fail(ErrorCode::unsupported,
                    "this model was not trained to fill in the middle, which is what editors ask for; "
                    "measure another one");
    }
    return MarkerNames{.prefix = name_of(vocabulary, markers->prefix),
                       .suffix = name_of(vocabulary, markers->suffix),
                       .middle = name_of(vocabulary, markers->middle),
                       .repository = name_of(vocabulary, markers->repository),
                       .file_separator = name_of(vocabulary, markers->file_separator)};
}

std::string fill_prompt(const DocumentState& state, FillOrder order, const MarkerNames& names) {
    const size_t split = order == FillOrder::line_last ? line_start(state) : state.cursor;
    const std::string before = names.prefix + state.text.substr(0, split);
    const std::string behind = names.suffix + state.text.substr(state.cursor);
    return shown_before(state, names) +
           (order == FillOrder::suffix_first ? behind + before : before + behind) + names.middle +
           state.text.substr(split, state.cursor - split);
}

FillRequestBody fill_request(const DocumentState& state, FillOrder order, const MarkerNames& names,
                             const FillOptions& options) {
    nlohmann::json body = {{"id_slot", options.slot},
                           {"n_predict", options.n_predict},
                           {"temperature", 0.0},
                           {"stream", true},
                           {"cache_prompt", options.cache == CacheUse::reuse}};
    if (order != FillOrder::infill) {
        body["prompt"] = fill_prompt(state, order, names);
        return {"/completion", body.dump()};
    }
    const size_t line = line_start(state);
    body["input_prefix"] = state.text.substr(0, line);
    body["prompt"] = state.text.substr(line, state.cursor - line);
    body["input_suffix"] = state.text.substr(state.cursor);
    body["input_extra"] = nlohmann::json::array();
    for (const ContextChunk& chunk : state.chunks) {
        body["input_extra"].push_back({{"filename", chunk.file_name}, {"text", chunk.text}});
    }
    return {"/infill", body.dump()};
}

} // namespace pie
