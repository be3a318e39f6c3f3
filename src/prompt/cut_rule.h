#pragma once

// Where a text may be cut so that the tokens of the parts, side by side, are the tokens of the whole. Derived
// once per vocabulary, some tens of milliseconds; shared by all texts of that vocabulary.
//
// Immutable: any thread may call. A vocabulary for which no safe place is known has none, and its texts stay
// whole.

#include "model/vocabulary.h"

#include <pie/types.h>

#include <bitset>
#include <string>
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
    // may be cut, or its own ends.
    void append_tokens(std::string_view text, size_t begin, size_t end, std::vector<TokenId>& tokens) const;

    // False where may_cut is never true.
    bool can_cut() const { return word_ends_.any() || line_begins_.any(); }

  private:
    using Bytes = std::bitset<256>;

    // A text to put in front of a part, because this vocabulary's tokeniser treats the beginning of a text
    // specially, and the number of tokens to drop again.
    struct Lead {
        std::string text;
        size_t token_count = 0;
    };

    void exclude_bytes_joined_by_tokens();
    void exclude_user_defined_tokens();
    void prepare_leads();
    bool holds_for_probe() const;
    void forbid_cuts();

    const Vocabulary* vocabulary_;
    Bytes word_ends_;   // in front of a place before a space
    Bytes line_begins_; // behind a place after a line break
    Lead word_lead_;
    Lead line_lead_;
};

} // namespace pie
