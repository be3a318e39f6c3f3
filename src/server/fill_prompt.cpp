#include "server/fill_prompt.h"

#include <string>
#include <utility>

namespace pie {

bool is_plain_text(const Model& model, std::string_view text) {
    const auto as_text = model.tokenize(text, Model::Markup::text);
    const auto as_markup = model.tokenize(text, Model::Markup::control_tokens);
    return as_text && as_markup && *as_text == *as_markup;
}

std::optional<PromptContent> fill_in_prompt(const Model& model, std::string_view prompt) {
    const auto markers = model.fill_markers();
    if (!markers || !prompt.ends_with(markers->middle)) {
        return std::nullopt;
    }
    prompt.remove_suffix(markers->middle.size());
    const std::string& first_marker = markers->is_suffix_first ? markers->suffix : markers->prefix;
    const std::string& second_marker = markers->is_suffix_first ? markers->prefix : markers->suffix;
    const size_t second = prompt.find(second_marker);
    if (!prompt.starts_with(first_marker) || second == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view prefix = prompt.substr(first_marker.size(), second - first_marker.size());
    std::string_view suffix = prompt.substr(second + second_marker.size());
    if (markers->is_suffix_first) {
        std::swap(prefix, suffix);
    }
    if (!is_plain_text(model, prefix) || !is_plain_text(model, suffix)) {
        return std::nullopt;
    }
    return PromptContent{.text = std::string(prefix) + std::string(suffix), .cursor = prefix.size()};
}

} // namespace pie
