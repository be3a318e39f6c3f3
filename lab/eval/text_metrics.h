#pragma once

// How a completed line is judged, as RepoBench judges it: the same numbers, with the corner cases of the
// programs that published figures were made with (Leolty/repobench, and fuzzywuzzy over Python's difflib).
//
// Thread rule: pure functions.

#include <cstddef>
#include <string_view>

namespace pie {

// The line that a completion predicts: the first that is neither blank nor a comment nor within a docstring
// or block comment, with its indentation; the first line at all where there is none. As there, a docstring
// of one line opens a block. Languages without a rule there have Java's.
std::string_view predicted_line(std::string_view completion, std::string_view language);

// Whether predicted_line() of a completion that begins with `text` is known to be that of the whole.
bool predicts_line(std::string_view text, std::string_view language);

// The same words in the same order, whatever white space is between them.
bool exactly_matches(std::string_view prediction, std::string_view target);

// Levenshtein's: the fewest bytes to insert, delete or replace that turn one text into the other.
size_t edit_distance(std::string_view a, std::string_view b);

// 0 to 100: twice the characters in matching blocks (Ratcliff and Obershelp's, as difflib finds them, its
// rule for characters that are too frequent included) as a share of both lengths, rounded half to even.
int edit_similarity(std::string_view prediction, std::string_view target);

} // namespace pie
