#pragma once

// Refuses files on which libllama would end the program: some of what its loader expects it states as
// assertions, which a damaged or unusual file breaks. What read_hyperparameters() checks is not repeated
// here.
//
// Thread rule: a pure function.

#include "model/metadata.h"

#include <pie/result.h>

#include <string>
#include <vector>

namespace pie {

// Errors: corrupt, unsupported (another tokenizer than byte-level BPE or SentencePiece; a pre-tokenizer that
// ends the program; a later part of a split model).
Result<void> check_loadable(const Metadata& metadata);

// What is wrong with a file that loads all the same, a sentence each: its vocabulary may not be the one that
// the model was trained with. Of a file that check_loadable() takes.
std::vector<std::string> vocabulary_doubts(const Metadata& metadata);

} // namespace pie
