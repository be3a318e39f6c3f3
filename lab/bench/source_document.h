#pragma once

// Documents to edit, made of real source text: files of a folder one after another, in an order that the seed
// decides, until there are as many tokens as wanted. Equal sources, seeds and vocabularies give equal
// documents.
//
// Thread rule: pure functions.

#include "eval/source_tree.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

using TokenCounter = std::function<size_t(std::string_view)>;

struct SourceDocument {
    std::vector<std::string> lines; // each with its line break; as many tokens as were wanted, or just fewer
    std::string spare;              // what follows: text to insert that is not in the document already
    std::string digest;             // of both, 16 hexadecimal digits
};

// Lines that are not plain ASCII, or that hold what looks like a control token's name, are left out: every
// server is to see text, whichever way it tokenises. Errors: invalid_argument (the sources are too few).
Result<SourceDocument> make_document(const SourceTree& tree, size_t n_tokens, uint64_t seed,
                                     const TokenCounter& count);

// A beginning of `text` that has `n_tokens` tokens, or as few more as can be.
std::string text_of_tokens(std::string_view text, size_t n_tokens, const TokenCounter& count);

} // namespace pie
