#include "prompt/layout.h"

namespace pie {

LayoutKind default_layout(const Vocabulary& vocabulary) {
    return vocabulary.fim() ? LayoutKind::psm_line : LayoutKind::plain;
}

PromptLayout::PromptLayout(const Vocabulary& vocabulary, LayoutKind kind,
                           const std::shared_ptr<const CutRule>& rule)
    : vocabulary_(&vocabulary), kind_(kind), beginning_(vocabulary.beginning()), markers_(vocabulary.fim()),
      prefix_(rule), suffix_(rule, TokenizedText::Place::inside), line_(rule, TokenizedText::Place::inside) {}

Result<PromptLayout> PromptLayout::create(const Vocabulary& vocabulary, LayoutKind kind) {
    if (kind != LayoutKind::plain && !vocabulary.fim()) {
        return fail(
            ErrorCode::unsupported,
            "this model has no markers for filling in the middle: its file names no token of its vocabulary "
            "as tokenizer.ggml.fim_pre_token_id, fim_suf_token_id and fim_mid_token_id; use the plain "
            "layout, which continues the text before the cursor, or a model that has them");
    }
    return PromptLayout(vocabulary, kind, std::make_shared<const CutRule>(vocabulary));
}

// The beginning of the sequence stands in front of the first marker, as llama.cpp's server puts it.
std::vector<TokenId> PromptLayout::tokens(const PromptText& text) {
    // Without a marker between them the cursor's line is tokenised with the lines before it.
    const bool has_line = kind_ == LayoutKind::psm_line && markers_->middle;
    const size_t line_begin = has_line ? text.prefix.rfind('\n') + 1 : text.prefix.size();
    const std::vector<TokenId>& prefix = prefix_.update(text.prefix.substr(0, line_begin));
    const std::vector<TokenId>& suffix = suffix_.update(kind_ == LayoutKind::plain ? "" : text.suffix);
    const std::vector<TokenId>& line = line_.update(text.prefix.substr(line_begin));
    std::vector<TokenId> prompt;
    prompt.reserve(prefix.size() + suffix.size() + line.size() + marker_count());
    const auto append = [&prompt](const std::vector<TokenId>& tokens) {
        prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    };
    if (beginning_) {
        prompt.push_back(*beginning_);
    }
    if (kind_ == LayoutKind::plain) {
        append(prefix);
        return prompt;
    }
    const auto append_part = [&](TokenId marker, const std::vector<TokenId>& tokens) {
        prompt.push_back(marker);
        append(tokens);
    };
    if (markers_->order == FimOrder::suffix_first) {
        append_part(markers_->suffix, suffix);
        append_part(markers_->prefix, prefix);
    } else {
        append_part(markers_->prefix, prefix);
        append_part(markers_->suffix, suffix);
    }
    if (markers_->middle) {
        prompt.push_back(*markers_->middle);
    }
    append(line);
    return prompt;
}

size_t PromptLayout::marker_count() const {
    const size_t n_beginning = beginning_ ? 1 : 0;
    return kind_ == LayoutKind::plain ? n_beginning : n_beginning + (markers_->middle ? 3 : 2);
}

} // namespace pie
