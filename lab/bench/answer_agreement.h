#pragma once

// How far one completion is the same as another.
//
// Thread rule: pure functions.

#include "model/vocabulary.h"

#include <string_view>

namespace pie {

struct AnswerAgreement {
    bool first_line = false; // whether the first lines are equal: what most editors show
    double tokens = 0;       // share of the longer one's tokens that come before the first difference
};

// Two empty answers agree.
AnswerAgreement agreement_of(std::string_view answer, std::string_view reference,
                             const Vocabulary& vocabulary);

} // namespace pie
