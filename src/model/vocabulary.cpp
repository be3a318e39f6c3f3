#include "model/vocabulary.h"

#include "base/check.h"

namespace pie {
namespace {

std::optional<TokenId> present(llama_token token) {
    return token == LLAMA_TOKEN_NULL ? std::nullopt : std::optional(TokenId(token));
}

// Bytes at the front of `text` that libllama can be given at once. It splits the text of some BPE
// vocabularies (DeepSeek's) with std::regex, whose recursion overflows the stack on a run of some ten
// thousand characters without a space, which minified files have; so such a run is cut. Cuts lie inside of
// runs alone, hence where prompt/cut_rule never cuts.
size_t safe_length(std::string_view text) {
    constexpr size_t run_bytes_max = 4096;
    size_t run = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool begins_character = (byte & 0xC0U) != 0x80U;
        if (run >= run_bytes_max && begins_character) {
            return i;
        }
        run = byte == ' ' || byte == '\n' ? 0 : run + 1;
    }
    return text.size();
}

} // namespace

std::vector<TokenId> Vocabulary::tokenize(std::string_view text) const {
    return tokenize_parts(text, ControlNames::stay_text);
}

std::vector<TokenId> Vocabulary::tokenize_markup(std::string_view text) const {
    return tokenize_parts(text, ControlNames::become_tokens);
}

std::vector<TokenId> Vocabulary::tokenize_parts(std::string_view text, ControlNames names) const {
    std::vector<TokenId> tokens;
    tokens.reserve(text.size() / 2);
    const bool splits = llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_BPE;
    while (!text.empty()) {
        const size_t length = splits ? safe_length(text) : text.size();
        append_tokens(text.substr(0, length), names, tokens);
        text.remove_prefix(length);
    }
    return tokens;
}

void Vocabulary::append_tokens(std::string_view text, ControlNames names,
                               std::vector<TokenId>& tokens) const {
    // One token a byte is the most that any vocabulary makes, and a leading space may be added.
    std::vector<llama_token> made(text.size() + 2);
    const int32_t n =
        llama_tokenize(vocab_, text.data(), static_cast<int32_t>(text.size()), made.data(),
                       static_cast<int32_t>(made.size()), false, names == ControlNames::become_tokens);
    PIE_CHECK(n >= 0, "a text gave more tokens than bytes");
    for (int32_t i = 0; i < n; ++i) {
        tokens.emplace_back(made[static_cast<size_t>(i)]);
    }
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
