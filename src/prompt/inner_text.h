#pragma once

// SentencePiece vocabularies put a space in front of a text, as if it followed another word. What stands
// behind a marker or behind other text of a prompt follows no word: there the space would be one that is not
// in the text, and an indentation by four would become one by five.
//
// Thread rule: a pure function.

#include "model/vocabulary.h"

#include <pie/types.h>

#include <string_view>
#include <vector>

namespace pie {

// The tokens of a text that does not begin the sequence, without that space: what the infilling encoders of
// CodeLlama and Codestral give for suffixes. Of other vocabularies those of Vocabulary::tokenize.
std::vector<TokenId> tokenize_inside(const Vocabulary& vocabulary, std::string_view text);

} // namespace pie
