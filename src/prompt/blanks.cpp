#include "prompt/blanks.h"

#include "prompt/inner_text.h"

#include <string>
#include <vector>

namespace pie {

std::optional<TokenId> blanks_before_word(const Vocabulary& vocabulary, std::string_view blanks) {
    if (blanks.empty() || blanks.find_first_not_of(" \t\r\n") != std::string_view::npos) {
        return {};
    }
    const std::vector<TokenId> tokens = tokenize_inside(vocabulary, std::string(blanks) + "word");
    const std::string first = vocabulary.piece(tokens.front());
    return first.size() + 1 == blanks.size() ? std::optional(tokens.front()) : std::nullopt;
}

} // namespace pie
