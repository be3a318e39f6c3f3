#pragma once

// Tells models apart, so that what was computed with one is never taken for another's. A fingerprint is the
// SHA-256 of everything in a GGUF file but the bulk of its weights: the metadata, the names, types and shapes
// of all tensors, and of each tensor four pieces of 4 KiB, spread from its start to its end. Another training
// step, fine-tune or quantisation changes weights everywhere, so that two models do not share it; reading all
// weights would take seconds for large models.
//
// Thread rule: a pure function of the files.

#include "model/metadata.h"

#include <pie/result.h>

#include <string>

namespace pie {

// 64 hexadecimal digits. A model that is split into several files is read with all its parts. Errors: io,
// not_found (a part is missing), corrupt (a file ends before its tensors do).
Result<std::string> fingerprint_of(const Metadata& metadata);

} // namespace pie
