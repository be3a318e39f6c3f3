#pragma once

// Files of data for an evaluation, and the rows that come of them: rows that hold their edit already are
// taken as they are; samples are edited in each way asked for. Which is which is told by the fields, line by
// line.
//
// Thread rule: one thread at a time.

#include "eval/rows.h"
#include "eval/samples.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pie {

struct DatasetOptions {
    std::vector<std::filesystem::path> files;
    std::vector<std::string> edits; // names of edit_kinds(); for samples
    size_t n_samples = 0;           // of each language and setting, or kind of row, drawn by the seed; 0: all
    uint64_t seed = 1;
};

struct Dataset {
    std::vector<EvalRow> rows; // languages and settings in turn, the edits of a sample together
    // What could not be made into rows: "ID: reason".
    std::vector<std::string> left_out;
};

// Blank lines are passed over. Errors: not_found, io, corrupt (a line of no known kind, an id that is there
// twice, not a single row), invalid_argument (no kind of edit of the name).
Result<Dataset> read_dataset(const DatasetOptions& options, const PromptLimit& limit);

} // namespace pie
