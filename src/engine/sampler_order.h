#pragma once

// The order of a sampler's stages as requests and flags name it. Apart from the sampler, so that what reads
// them needs no libllama.
//
// Pure functions; any thread.

#include <pie/completion.h>
#include <pie/result.h>

#include <span>
#include <string>
#include <vector>

namespace pie {

// Stages by the names of llama-server's `samplers`, its other spellings included. `dry`, `top_n_sigma` and
// `xtc` are in its default list, so they are understood and left out: the options that would make them act do
// not exist here. Errors: invalid_argument, which says the names there are.
Result<std::vector<SamplerStage>> parse_sampler_order(std::span<const std::string> names);

} // namespace pie
