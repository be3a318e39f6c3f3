#pragma once

// Problems of HumanEval (openai/human-eval): the beginning of a Python function with its docstring, and tests
// that tell whether the rest was written right.
//
// Thread rule: pure functions.

#include "eval/samples.h"

#include <pie/result.h>

#include <nlohmann/json_fwd.hpp>

namespace pie {

bool is_human_eval_row(const nlohmann::json& object);

// Errors: corrupt (a field missing or of another type), with a message without a place.
Result<Sample> human_eval_sample(const nlohmann::json& object);

} // namespace pie
