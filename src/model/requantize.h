#pragma once

// Gives the matrices of a model another type, with libllama's quantiser, so that the processor has faster
// kernels for them (model/repacking.h). What a matrix loses by this depends on the model and must be
// measured. The embedding and the output matrix stay as they are: the one is only looked up, the other is
// needed once a completed token, and what it loses every token shows.
//
// The new file tells what it was made from, so that it is neither made twice nor taken for another's.
//
// Thread rule: called while the process has no other thread (base/forked.h), as nothing else can stop the
// quantiser.

#include "base/progress.h"

#include <pie/result.h>

#include <ggml.h>
#include <llama.h>

#include <filesystem>
#include <span>
#include <string_view>

namespace pie {

struct QuantType {
    std::string_view name;
    ggml_type type;
    llama_ftype file_type;
};

// Those for which ggml has repacked kernels on some processor, and whose blocks fit into any row.
std::span<const QuantType> quant_types();

// Errors: invalid_argument (no such name).
Result<QuantType> parse_quant_type(std::string_view name);

enum class Requantized { now, before };

// Makes `target`, or finds that it was made of the same source before. It is there when it is whole, or not
// at all. Polls interrupted(). Errors: not_found, io (a full disk, no permission), corrupt, unsupported,
// invalid_argument (nothing would change, the source was requantised itself, `target` is another file),
// cancelled, internal.
Result<Requantized> requantize(const std::filesystem::path& source, const std::filesystem::path& target,
                               const QuantType& type, Progress& progress);

} // namespace pie
