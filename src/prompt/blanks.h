#pragma once

// How indentation is tokenised. Thread rule: a pure function.

#include "model/vocabulary.h"

#include <optional>
#include <string_view>

namespace pie {

// Of a token of white space, which a text ends with: the token that stands there where a word follows. In
// most vocabularies a word takes the last blank with it, as in "   " and " return" for four blanks, so that
// no model has seen the token of all four before a word. It stands for all but the last blank. None where the
// token stays, or where `blanks` is something else.
std::optional<TokenId> blanks_before_word(const Vocabulary& vocabulary, std::string_view blanks);

} // namespace pie
