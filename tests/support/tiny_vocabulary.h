#pragma once

// Vocabularies for tiny models: small, made by hand, and such that every text has tokens and comes back from
// them.
//
// Thread rule: pure functions.

#include <gguf.h>

#include <cstdint>

namespace pie::testing {

enum class TinyVocabulary {
    byte_level,     // GPT-2's: 256 byte tokens, some pairs, four control tokens at the end: <|endoftext|> and
                    // the fill-in-the-middle markers
    sentence_piece, // Llama's: <unk>, <s>, </s>, 256 byte tokens, runs of blanks, letters, some words, and
                    // CodeLlama's markers at the end
};

// Of either kind.
constexpr int32_t tiny_vocabulary_size = 320;

void add_tiny_vocabulary(gguf_context* gguf, TinyVocabulary kind);

} // namespace pie::testing
