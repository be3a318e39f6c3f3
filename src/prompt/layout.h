#pragma once

// From a text and a cursor to the token sequence that a model continues. Tokenising is incremental: a layout
// keeps the tokens of the texts it saw last, so that a keystroke costs the line it falls on (see
// tokenized_text.h).
//
// Thread rule: one thread at a time.

#include "model/vocabulary.h"
#include "prompt/tokenized_text.h"

#include <pie/result.h>
#include <pie/types.h>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace pie {

enum class LayoutKind {
    plain,    // the text before the cursor, continued left to right
    psm,      // <PRE> before the cursor <SUF> behind it <MID>: fill in the middle
    psm_line, // <PRE> the lines before the cursor's <SUF> behind the cursor <MID> its line up to it
};
// Where a model was trained with the suffix first (FimOrder), <SUF> and its text come before <PRE>.

// psm_line where the model has the markers, else plain. Split at the start of the line, no token is cut at
// the cursor, and what is typed on the line is appended.
LayoutKind default_layout(const Vocabulary& vocabulary);

// What a prompt needs of the text around the cursor. Both parts are valid UTF-8.
struct PromptText {
    std::string_view prefix; // before the cursor
    std::string_view suffix; // behind it; unused by `plain`
};

class PromptLayout {
  public:
    // Errors: unsupported, where the model lacks the markers that `kind` needs.
    static Result<PromptLayout> create(const Vocabulary& vocabulary, LayoutKind kind);

    // The whole prompt, the model's beginning-of-sequence token included where it wants one. Equal, token for
    // token, to tokenising the parts from scratch: the prefix as the beginning of a text, what stands behind
    // it as prompt/inner_text.h does.
    std::vector<TokenId> tokens(const PromptText& text);

    LayoutKind kind() const { return kind_; }
    const Vocabulary& vocabulary() const { return *vocabulary_; }
    // How many tokens of the last prompt came from its prefix.
    size_t prefix_token_count() const { return prefix_.tokens().size() + line_.tokens().size(); }
    // How many tokens of a prompt are not of its text: markers and the beginning of the sequence.
    size_t marker_count() const;

  private:
    PromptLayout(const Vocabulary& vocabulary, LayoutKind kind, const std::shared_ptr<const CutRule>& rule);

    const Vocabulary* vocabulary_; // outlives the layout
    LayoutKind kind_;
    std::optional<TokenId> beginning_;
    std::optional<FimMarkers> markers_;
    TokenizedText prefix_;
    TokenizedText suffix_;
    TokenizedText line_; // of psm_line, the prefix's last line, where a marker stands before it
};

} // namespace pie
