#pragma once

// A whole run: all rows by all methods, as far as they are not measured yet.
//
// Thread rule: the model thread alone.

#include "base/progress.h"
#include "eval/methods.h"
#include "eval/results.h"
#include "eval/row_runner.h"
#include "eval/rows.h"

#include <pie/result.h>

#include <cstddef>
#include <span>
#include <string>

namespace pie {

// The measurements of all rows and methods that `results` lacks, made and added one by one. Polls
// interrupted(). Errors: cancelled, io.
Result<void> run_rows(std::span<const EvalRow> rows, std::span<const Method> methods, RowRunner& runner,
                      Results& results, Progress& progress);

// How many rows have a measurement left to make.
size_t rows_left(std::span<const EvalRow> rows, std::span<const Method> methods, const std::string& model,
                 const Results& results);

} // namespace pie
