#pragma once

// Where a text may be cut so that the tokens of the parts, side by side, are the tokens of the whole. Derived
// once per vocabulary, some tens of milliseconds; shared by all texts of that vocabulary.
//
// Immutable: any thread may call. A vocabulary for which no safe place is known has none, and its texts stay
// whole.

#include "model/vocabulary.h"

#include <pie/types.h>

#include <bitset>
#include <string_view>
#include <vector>

namespace pie {

class CutRule {
  public:
    // may_cut looks at no more than so many bytes on either side of the place.
    static constexpr size_t context_bytes = 2;

    explicit CutRule(const Vocabulary& vocabulary); // which outlives the rule

    // Whether tokens(text) = tokens(text before `place`) + tokens(text from `place` on).
    bool may_cut(std::string_view text, size_t place) const;

    // Appends the tokens of bytes [begin, end) of `text`, which are not empty. Both ends are places where it
    // may be cut, or its own ends. Those of the whole text are Vocabulary::tokenize's, or with `is_inside`
    // the tokens of prompt/inner_text.h.
    void append_tokens(std::string_view text, size_t begin, size_t end, bool is_inside,
                       std::vector<TokenId>& tokens) const;

    // False where may_cut is never true.
    bool can_cut() const { return word_ends_.any() || line_begins_.any(); }

  private:
    using Bytes = std::bitset<256>;

    void exclude_bytes_joined_by_tokens();
    void exclude_user_defined_tokens();
    bool holds_for_probe() const;
    void forbid_cuts();

    const Vocabulary* vocabulary_;
    Bytes word_ends_;   // in front of a place before a space
    Bytes line_begins_; // behind a place after a line break
};

} // namespace pie
