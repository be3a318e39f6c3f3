#include "model/vocabulary.h"

#include "base/check.h"

namespace pie {
namespace {

std::optional<TokenId> present(llama_token token) {
    return token == LLAMA_TOKEN_NULL ? std::nullopt : std::optional(TokenId(token));
}

} // namespace

std::vector<TokenId> Vocabulary::tokenize(std::string_view text) const {
    // One token a byte is the most that any vocabulary makes, and a leading space may be added.
    std::vector<llama_token> tokens(text.size() + 2);
    const int32_t n = llama_tokenize(vocab_, text.data(), static_cast<int32_t>(text.size()), tokens.data(),
                                     static_cast<int32_t>(tokens.size()), false, false);
    PIE_CHECK(n >= 0, "a text gave more tokens than bytes");
    std::vector<TokenId> result;
    result.reserve(static_cast<size_t>(n));
    for (int32_t i = 0; i < n; ++i) {
        result.emplace_back(tokens[static_cast<size_t>(i)]);
    }
    return result;
}

std::string Vocabulary::piece(TokenId token) const {
    std::string text(16, '\0');
    int32_t n =
        llama_token_to_piece(vocab_, token.value, text.data(), static_cast<int32_t>(text.size()), 0, false);
    if (n < 0) {
        text.resize(static_cast<size_t>(-n));
        n = llama_token_to_piece(vocab_, token.value, text.data(), static_cast<int32_t>(text.size()), 0,
                                 false);
    }
    PIE_CHECK(n >= 0, "a token's text changed its length between two calls");
    text.resize(static_cast<size_t>(n));
    return text;
}

std::optional<TokenId> Vocabulary::beginning() const {
    return llama_vocab_get_add_bos(vocab_) ? present(llama_vocab_bos(vocab_)) : std::nullopt;
}

std::optional<FimMarkers> Vocabulary::fim() const {
    const auto prefix = present(llama_vocab_fim_pre(vocab_));
    const auto suffix = present(llama_vocab_fim_suf(vocab_));
    const auto middle = present(llama_vocab_fim_mid(vocab_));
    if (!prefix || !suffix || !middle) {
        return std::nullopt;
    }
    return FimMarkers{*prefix, *suffix, *middle, present(llama_vocab_fim_rep(vocab_)),
                      present(llama_vocab_fim_sep(vocab_))};
}

} // namespace pie
