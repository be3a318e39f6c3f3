#include "prompt/cut_rule.h"

#include "prompt/inner_text.h"

#include <algorithm>
#include <array>
#include <string>

// Two kinds of places can be safe to cut at. A word place is in front of a space that follows a visible ASCII
// character (! to ~). A line place is behind a line break between two visible ASCII characters, the second of
// which is not a slash. Cutting there changes no token, by the three stages of libllama's tokenisers
// (SentencePiece and BPE).
//
// First, tokens that the vocabulary's author defined are searched in the raw text. None found spans the
// place, for none holds the two bytes beside it next to each other: exclude_bytes_joined_by_tokens takes the
// bytes out for which some token does. Such tokens that swallow the white space around them forbid all cuts.
//
// Second, BPE pre-tokenisers split the rest into pieces by regular expressions, from left to right, without
// looking back. What they match is a run of one class of characters: letters, digits, other visible ones,
// white space. A run may take one character in front, and one of other visible characters the line breaks
// behind it (in some, slashes too). So no piece reaches over a word place: a space follows nothing but white
// space in its piece. And no piece reaches over a line place: only more white space could follow the line
// break. The text in front of the place is split as if it ended there. The lookaheads ask whether a run of
// digits or of white space goes on; digits do not, and the only white space in front of a line place is the
// one line break, a piece or the end of a piece either way. Whether there is a contraction ('s, 're) is seen
// in front of the place. Where an expression leaves both sides in one piece all the same (the non-words of
// Bloom's, the words of EXAONE's, all of SuperBPE's and Gemma's), the third stage separates them.
//
// Third, merges build tokens of the vocabulary out of tokens. None can join the two sides, for no token holds
// the two bytes beside the place next to each other, by the same exclusion as above. Hence the merges on one
// side do not depend on those on the other.
//
// SentencePiece puts a space in front of a text, and behind each author-defined token. A part that does not
// begin the text is therefore tokenised without that space (prompt/inner_text.h); and a place behind an
// author-defined token is not safe.
//
// As a guard against a tokeniser that does none of this, the rule is tried on a text full of such places, and
// a vocabulary that fails has no safe places. Neither have the other kinds (WordPiece, unigram, RWKV, ...).

namespace pie {
namespace {

bool is_visible(char c) {
    return c > ' ' && c <= '~';
}
size_t index_of(char c) {
    return static_cast<unsigned char>(c);
}

// How vocabularies write a space and a line break: as they are, in GPT-2's alphabet of bytes, in
// SentencePiece's.
constexpr std::array<std::string_view, 3> spaces = {" ", "\u0120", "\u2581"};
constexpr std::array<std::string_view, 2> line_breaks = {"\n", "\u010A"};

template <size_t n, typename Visit>
void for_each_of(const std::array<std::string_view, n>& needles, std::string_view text, Visit visit) {
    for (const std::string_view needle : needles) {
        for (size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + 1)) {
            visit(at, at + needle.size());
        }
    }
}

std::string probe_text() {
    constexpr std::array ends = {"foo", "x1", "f(x)", "s\"", "it's", "don'", "a =", "//", "</dna>", "7,"};
    constexpr std::array begins = {"bar(",  "Bar", "1234", "(y",      "'s", "'re",
                                   "\"t\"", "#if", "/*",   "<dna>ac", "{}"};
    constexpr std::array gaps = {"\n\n", "  ", "\t", "\r\n    ", " \n"};
    std::string text;
    size_t gap = 0;
    for (const char* end : ends) {
        for (const char* begin : begins) {
            text.append(end).append(" ").append(begin).append(gaps[gap++ % gaps.size()]);
            text.append(end).append("\n").append(begin).append(gaps[gap++ % gaps.size()]);
        }
    }
    return text;
}

} // namespace

CutRule::CutRule(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {
    const enum llama_vocab_type type = llama_vocab_type(vocabulary.get());
    if (type != LLAMA_VOCAB_TYPE_BPE && type != LLAMA_VOCAB_TYPE_SPM) {
        return;
    }
    for (char c = '!'; c <= '~'; ++c) {
        word_ends_.set(index_of(c));
        line_begins_.set(index_of(c), c != '/');
    }
    exclude_bytes_joined_by_tokens();
    exclude_user_defined_tokens();
    if (!holds_for_probe()) {
        forbid_cuts();
    }
}

bool CutRule::may_cut(std::string_view text, size_t place) const {
    if (place < context_bytes || place >= text.size()) {
        return false;
    }
    if (text[place] == ' ') {
        return word_ends_[index_of(text[place - 1])];
    }
    return text[place - 1] == '\n' && is_visible(text[place - 2]) && line_begins_[index_of(text[place])];
}

void CutRule::append_tokens(std::string_view text, size_t begin, size_t end, bool is_inside,
                            std::vector<TokenId>& tokens) const {
    const std::string_view part = text.substr(begin, end - begin);
    const std::vector<TokenId> found =
        begin > 0 || is_inside ? tokenize_inside(*vocabulary_, part) : vocabulary_->tokenize(part);
    tokens.insert(tokens.end(), found.begin(), found.end());
}

void CutRule::exclude_bytes_joined_by_tokens() {
    for (int32_t token = 0; token < vocabulary_->size(); ++token) {
        const std::string_view text = llama_vocab_get_text(vocabulary_->get(), token);
        for_each_of(spaces, text, [&](size_t begin, size_t) {
            if (begin > 0) {
                word_ends_.reset(index_of(text[begin - 1]));
            }
        });
        for_each_of(line_breaks, text, [&](size_t, size_t end) {
            if (end < text.size()) {
                line_begins_.reset(index_of(text[end]));
            }
        });
    }
}

void CutRule::exclude_user_defined_tokens() {
    const bool puts_spaces_in_front = llama_vocab_type(vocabulary_->get()) == LLAMA_VOCAB_TYPE_SPM;
    for (int32_t token = 0; token < vocabulary_->size(); ++token) {
        const uint32_t attributes = llama_vocab_get_attr(vocabulary_->get(), token);
        // In plain text libllama does not search for control and unknown tokens.
        if ((attributes & LLAMA_TOKEN_ATTR_USER_DEFINED) == 0 ||
            (attributes & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0) {
            continue;
        }
        if ((attributes & (LLAMA_TOKEN_ATTR_LSTRIP | LLAMA_TOKEN_ATTR_RSTRIP)) != 0) {
            forbid_cuts();
            return;
        }
        const std::string_view text = llama_vocab_get_text(vocabulary_->get(), token);
        if (puts_spaces_in_front && !text.empty()) {
            word_ends_.reset(index_of(text.back()));
            if (text.back() == '\n') {
                line_begins_.reset();
            }
        }
    }
}

bool CutRule::holds_for_probe() const {
    const std::string text = probe_text();
    std::vector<TokenId> tokens;
    size_t begin = 0;
    for (size_t place = 1; place <= text.size(); ++place) {
        if (place == text.size() || may_cut(text, place)) {
            append_tokens(text, begin, place, false, tokens);
            begin = place;
        }
    }
    return tokens == vocabulary_->tokenize(text);
}

void CutRule::forbid_cuts() {
    word_ends_.reset();
    line_begins_.reset();
}

} // namespace pie
