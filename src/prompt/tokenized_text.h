#pragma once

// One text and its tokens, kept up to date: update() tokenises again only the parts of the text that changed,
// which end at places where no token of this vocabulary can span (see cut_rule.h). The tokens equal those of
// the whole text tokenised from scratch.
//
// Thread rule: one thread at a time.

#include "model/vocabulary.h"
#include "prompt/cut_rule.h"

#include <pie/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

class TokenizedText {
  public:
    enum class Place { beginning, inside }; // of the prompt: see prompt/inner_text.h

    explicit TokenizedText(std::shared_ptr<const CutRule> rule, Place place = Place::beginning)
        : rule_(std::move(rule)), place_(place) {}

    // Replaces the text. `text` is valid UTF-8. Returns the tokens, valid until the next update.
    const std::vector<TokenId>& update(std::string_view text);

    const std::vector<TokenId>& tokens() const { return tokens_; }

  private:
    // A part of the text that was tokenised by itself. Parts are in order and without gaps.
    struct Part {
        size_t byte_count = 0;
        size_t token_count = 0;
    };
    // Neighbouring parts: as indices, and what they cover of text_ and of tokens_.
    struct PartRange {
        size_t parts_begin = 0, parts_end = 0;
        size_t bytes_begin = 0, bytes_end = 0;
        size_t tokens_begin = 0, tokens_end = 0;
    };

    PartRange changed_parts(std::string_view text) const;

    std::shared_ptr<const CutRule> rule_;
    Place place_;
    std::string text_;
    std::vector<TokenId> tokens_;
    std::vector<Part> parts_;
};

} // namespace pie
