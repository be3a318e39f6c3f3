#include "prompt/layout.h"

namespace pie {

LayoutKind default_layout(const Vocabulary& vocabulary) {
    return vocabulary.fim() ? LayoutKind::psm : LayoutKind::plain;
}

PromptLayout::PromptLayout(const Vocabulary& vocabulary, LayoutKind kind,
                           const std::shared_ptr<const CutRule>& rule)
    : vocabulary_(&vocabulary), kind_(kind), beginning_(vocabulary.beginning()), markers_(vocabulary.fim()),
      prefix_(rule), suffix_(rule) {}

Result<PromptLayout> PromptLayout::create(const Vocabulary& vocabulary, LayoutKind kind) {
    if (kind == LayoutKind::psm && !vocabulary.fim()) {
        return fail(ErrorCode::unsupported,
                    "this model has no markers for filling in the middle; use the plain layout, "
                    "which continues the text before the cursor, or a model that has them");
    }
    return PromptLayout(vocabulary, kind, std::make_shared<const CutRule>(vocabulary));
}

// The beginning of the sequence stands in front of the first marker, as llama.cpp's server puts it.
std::vector<TokenId> PromptLayout::tokens(const PromptText& text) {
    const std::vector<TokenId>& prefix = prefix_.update(text.prefix);
    std::vector<TokenId> prompt;
    prompt.reserve(prefix.size() + marker_count());
    if (beginning_) {
        prompt.push_back(*beginning_);
    }
    if (kind_ == LayoutKind::plain) {
        prompt.insert(prompt.end(), prefix.begin(), prefix.end());
        return prompt;
    }
    const std::vector<TokenId>& suffix = suffix_.update(text.suffix);
    prompt.reserve(prefix.size() + suffix.size() + marker_count());
    prompt.push_back(markers_->prefix);
    prompt.insert(prompt.end(), prefix.begin(), prefix.end());
    prompt.push_back(markers_->suffix);
    prompt.insert(prompt.end(), suffix.begin(), suffix.end());
    prompt.push_back(markers_->middle);
    return prompt;
}

} // namespace pie
