#include "server/fill_prompt.h"

#include <string>

namespace pie {

bool is_plain_text(const Model& model, std::string_view text) {
    const auto as_text = model.tokenize(text, Model::Markup::text);
    const auto as_markup = model.tokenize(text, Model::Markup::control_tokens);
    return as_text && as_markup && *as_text == *as_markup;
}

std::optional<PromptContent> fill_in_prompt(const Model& model, std::string_view prompt) {
    const auto markers = model.fill_markers();
    if (!markers || !prompt.starts_with(markers->prefix) || !prompt.ends_with(markers->middle)) {
        return std::nullopt;
    }
    prompt.remove_prefix(markers->prefix.size());
    const size_t suffix_marker = prompt.find(markers->suffix);
    const size_t suffix_begin = suffix_marker + markers->suffix.size();
    if (suffix_marker == std::string_view::npos || suffix_begin + markers->middle.size() > prompt.size()) {
        return std::nullopt;
    }
    const std::string_view prefix = prompt.substr(0, suffix_marker);
    const std::string_view suffix =
        prompt.substr(suffix_begin, prompt.size() - markers->middle.size() - suffix_begin);
    if (!is_plain_text(model, prefix) || !is_plain_text(model, suffix)) {
        return std::nullopt;
    }
    return PromptContent{.text = std::string(prefix) + std::string(suffix), .cursor = prefix.size()};
}

} // namespace pie
