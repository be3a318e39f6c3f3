#include "prompt/inner_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace pie {
namespace {

// Texts to put in front, whose tokens are dropped again. The first is the one that CodeLlama's encoder puts
// there.
constexpr std::array<std::string_view, 2> leads = {"\u263A", "\x01"};

} // namespace

// Merges join neighbours alone. Where the lead's tokens stand at the front as they are by themselves, none
// has reached over its end, so that what follows are the tokens of the text alone.
std::vector<TokenId> tokenize_inside(const Vocabulary& vocabulary, std::string_view text) {
    if (text.empty() || llama_vocab_type(vocabulary.get()) != LLAMA_VOCAB_TYPE_SPM) {
        return vocabulary.tokenize(text);
    }
    for (const std::string_view lead : leads) {
        const std::vector<TokenId> of_lead = vocabulary.tokenize(lead);
        std::vector<TokenId> tokens = vocabulary.tokenize(std::string(lead).append(text));
        if (tokens.size() >= of_lead.size() && std::equal(of_lead.begin(), of_lead.end(), tokens.begin())) {
            tokens.erase(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(of_lead.size()));
            return tokens;
        }
    }
    return vocabulary.tokenize(text);
}

} // namespace pie
