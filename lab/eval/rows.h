#pragma once

// Rows: the data of an evaluation, one JSON object a line of a file (docs/lab/evaluation.md). A prompt is
// encoded as `before`, edited to `after`, and scored on `target`, the text that really follows. In `before`
// and `after` the texts <PRE>, <SUF> and <MID> stand for the fill-in-the-middle markers of whatever model is
// loaded.
//
// Thread rule: pure functions; rows are plain data.

#include "model/vocabulary.h"

#include <pie/result.h>
#include <pie/types.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct EvalRow {
    std::string id; // of one row of the file alone
    std::string kind;
    std::string language; // may be empty
    std::string before;
    std::string after;
    std::string target;
    std::string setting = {};            // of the sample that it was made from; may be empty
    std::vector<std::string> steps = {}; // prompts between the two, where the text changed several times
    std::string test = {};  // a program's end that fails where the completion is wrong; may be empty
    std::string place = {}; // what messages begin with: "FILE:LINE", or a sample's id
};

constexpr std::string_view prefix_marker = "<PRE>";
constexpr std::string_view suffix_marker = "<SUF>";
constexpr std::string_view middle_marker = "<MID>";
constexpr std::array<std::string_view, 3> row_markers = {prefix_marker, suffix_marker, middle_marker};

// One line of a file. Errors: corrupt (no JSON object, a field missing or of another type); the message
// begins with `place`.
Result<EvalRow> parse_row(std::string_view line, std::string place);

// The line that parse_row() takes, without its end.
std::string row_line(const EvalRow& row);

// A short fingerprint of the row's texts: results are of these, not of whatever the id means later.
std::string row_digest(const EvalRow& row);

struct EncodedRow {
    std::vector<TokenId> before;
    std::vector<TokenId> after;
    std::vector<TokenId> target;
    std::vector<std::vector<TokenId>> steps;
};

// The texts between markers are tokenised each by itself, as prompts are (prompt/layout.h), the token that
// the model wants at the beginning in front. Errors: unsupported (a marker that the model lacks), corrupt
// (a text without a single token).
Result<EncodedRow> encode_row(const EvalRow& row, const Vocabulary& vocabulary);

} // namespace pie
