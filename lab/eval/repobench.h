#pragma once

// Rows of RepoBench (arXiv 2306.03091) as published: RepoBench-C of version 0, which the PIE paper used, and
// version 1.1, which `pie-lab eval build` writes too. Prompts and truncation are those of the data set's own
// programs.
//
// Thread rule: pure functions.

#include "eval/samples.h"

#include <pie/result.h>

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace pie {

// Whether the object has the fields of one of the two versions.
bool is_repobench_row(const nlohmann::json& object);

// The id and setting are the row's own, where `pie-lab eval build` wrote them, and else empty. Where the
// prompt is longer than the limit, lines of version 1.1's cross-file part are left out from its end. Errors:
// corrupt (a field missing or of another type), with a message without a place.
Result<Sample> repobench_sample(const nlohmann::json& object, const PromptLimit& limit);

} // namespace pie
