#pragma once

// An edit as a person reads it, short enough to be kept with each row's results.
//
// Thread rule: a pure function.

#include "eval/rows.h"

#include <string>

namespace pie {

// The lines that the row's edit removes ("-") and adds ("+"), each change with the line in front and behind
// (" "). Of long lines the beginning, of many lines the first, with what is left out said by their end.
std::string edit_diff(const EvalRow& row);

} // namespace pie
