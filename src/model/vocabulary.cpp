#include "model/vocabulary.h"

#include "base/check.h"

#include <algorithm>
#include <array>

namespace pie {
namespace {

std::optional<TokenId> present(llama_token token) {
    return token == LLAMA_TOKEN_NULL ? std::nullopt : std::optional(TokenId(token));
}

// White space beyond ASCII, which some vocabularies' expressions take for white space and some do not.
constexpr std::array wide_blanks = {"\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                                    "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
                                    "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};

enum class Spacing { blank, visible, either };

Spacing spacing_of(std::string_view text) {
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte < 0x80U) {
        return byte == ' ' || (byte >= '\t' && byte <= '\r') ? Spacing::blank : Spacing::visible;
    }
    const bool is_wide_blank =
        std::ranges::any_of(wide_blanks, [text](const char* blank) { return text.starts_with(blank); });
    return is_wide_blank ? Spacing::either : Spacing::visible;
}

// Some expressions match line breaks and slashes behind punctuation as one.
bool is_break_or_slash(char c) {
    return c == '\n' || c == '\r' || c == '/';
}

bool is_letter(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80U || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

// Bytes at the front of `text` that libllama can be given at once. It splits the text of many BPE
// vocabularies (DeepSeek's, Mistral's, Seed-Coder's) with std::regex, whose recursion overflows the stack on
// some ten thousand characters that one expression matches: a run of white space, or of characters without
// any, which minified files have, or (EXAONE's) of words with one space between them. So such a run is cut,
// one of words in front of a space. Of digits, whose groups SuperBPE's expressions count from the end for
// each digit again, fewer are taken, and threes of them, by which many vocabularies split. Other cuts lie
// inside of runs alone, hence where prompt/cut_rule never cuts.
size_t safe_length(std::string_view text) {
    constexpr size_t run_bytes_max = 4096;
    constexpr size_t digits_max = 1023;
    size_t run_begin = 0;
    size_t words_begin = 0;
    size_t digits_begin = 0;
    Spacing run = Spacing::either;
    for (size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) {
            continue; // inside of a character
        }
        const bool is_behind_word = text[i] == ' ' && i > words_begin && text[i - 1] != ' ';
        if (i - run_begin >= run_bytes_max || (is_behind_word && i - words_begin >= run_bytes_max)) {
            return i;
        }
        if (text[i] < '0' || text[i] > '9') {
            digits_begin = i + 1;
        } else if (i - digits_begin >= digits_max) {
            return i;
        }
        if (!is_letter(text[i]) && !is_behind_word) {
            words_begin = i + 1;
        }
        const Spacing spacing = spacing_of(text.substr(i));
        if (spacing != run && spacing != Spacing::either) {
            run = spacing;
            const bool goes_on = i > 0 && is_break_or_slash(text[i - 1]) && is_break_or_slash(text[i]);
            run_begin = goes_on ? run_begin : i;
        }
    }
    return text.size();
}

// Markers that libllama does not know by name, or in another order.
struct SuffixFirstNames {
    const char* prefix;
    const char* suffix;
    const char* middle; // null: there is none
};
constexpr std::array suffix_first_names = {
    SuffixFirstNames{"<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"}, // Seed-Coder
    SuffixFirstNames{"[PREFIX]", "[SUFFIX]", nullptr},                      // Codestral
};

} // namespace

Vocabulary::Vocabulary(const llama_vocab* vocab, FimOrder order)
    : vocab_(vocab), fim_(find_markers(order)), file_end_(token_called("<file_sep>")) {}

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
        size_t length = splits ? safe_length(text) : text.size();
        if (names == ControlNames::become_tokens && length < text.size()) {
            length = length_outside_of_names(text, length);
        }
        append_tokens(text.substr(0, length), names, tokens);
        text.remove_prefix(length);
    }
    return tokens;
}

// So that no name of a control token is cut: up to the first one that `length` lies within.
size_t Vocabulary::length_outside_of_names(std::string_view text, size_t length) const {
    size_t outside = length;
    for (TokenId token(0); token.value < size(); ++token.value) {
        if (!is_control(token)) {
            continue;
        }
        const std::string_view name = llama_vocab_get_text(vocab_, token.value);
        const size_t reach = std::min(length, name.size()) - 1;
        const size_t at = text.substr(0, length + reach).find(name, length - reach);
        outside = std::min(outside, at);
    }
    return outside > 0 ? outside : length;
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

std::optional<TokenId> Vocabulary::token_called(const char* name) const {
    const std::vector<TokenId> tokens = tokenize_markup(name);
    return tokens.size() == 1 && is_control(tokens.front()) ? std::optional(tokens.front()) : std::nullopt;
}

std::optional<FimMarkers> Vocabulary::find_markers(FimOrder order) const {
    for (const SuffixFirstNames& names : suffix_first_names) {
        const auto prefix = token_called(names.prefix);
        const auto suffix = token_called(names.suffix);
        const auto middle = names.middle == nullptr ? std::nullopt : token_called(names.middle);
        if (prefix && suffix && (middle || names.middle == nullptr)) {
            return FimMarkers{*prefix, *suffix, middle, FimOrder::suffix_first, {}, {}};
        }
    }
    const auto prefix = present(llama_vocab_fim_pre(vocab_));
    const auto suffix = present(llama_vocab_fim_suf(vocab_));
    const auto middle = present(llama_vocab_fim_mid(vocab_));
    if (!prefix || !suffix || !middle) {
        return std::nullopt;
    }
    return FimMarkers{*prefix,
                      *suffix,
                      middle,
                      order,
                      present(llama_vocab_fim_rep(vocab_)),
                      present(llama_vocab_fim_sep(vocab_))};
}

} // namespace pie
