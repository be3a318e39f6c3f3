#include "bench/answer_agreement.h"

#include <algorithm>
#include <vector>

namespace pie {

AnswerAgreement agreement_of(std::string_view answer, std::string_view reference,
                             const Vocabulary& vocabulary) {
    const std::vector<TokenId> a = vocabulary.tokenize(answer);
    const std::vector<TokenId> b = vocabulary.tokenize(reference);
    const size_t n = std::max(a.size(), b.size());
    const auto differs = std::ranges::mismatch(a, b).in1;
    return {.first_line = answer.substr(0, answer.find('\n')) == reference.substr(0, reference.find('\n')),
            .tokens = n == 0 ? 1 : static_cast<double>(differs - a.begin()) / static_cast<double>(n)};
}

} // namespace pie
