#pragma once

// Refuses files on which libllama would end the program: some of what its loader expects it states as
// assertions, which a damaged or unusual file breaks. What read_hyperparameters() checks is not repeated
// here.
//
// Thread rule: a pure function.

#include "model/metadata.h"

#include <pie/result.h>

namespace pie {

// Errors: corrupt, unsupported (another tokenizer than byte-level BPE or SentencePiece).
Result<void> check_loadable(const Metadata& metadata);

} // namespace pie
