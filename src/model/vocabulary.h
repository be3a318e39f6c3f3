#pragma once

// The tokens of one model: text to tokens and back, and the markers that layouts need. A view on the
// LoadedModel, which owns it. Immutable: any thread may call.

#include <pie/result.h>
#include <pie/types.h>

#include <llama.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Which part of a prompt that fills in the middle comes first. Most models were trained with the prefix
// first; Seed-Coder, Codestral and Mellum with the suffix first (their model cards; mistral-common's encoding
// of FIM).
enum class FimOrder { prefix_first, suffix_first };

// Fill-in-the-middle markers. The last two are there in models trained on repositories (Qwen2.5-Coder).
struct FimMarkers {
    TokenId prefix;
    TokenId suffix;
    std::optional<TokenId> middle; // Codestral writes on behind the prefix, without one
    FimOrder order = FimOrder::prefix_first;
    std::optional<TokenId> repository;
    std::optional<TokenId> file_separator;
};

class Vocabulary {
  public:
    // `order` counts where the markers' names do not tell it: Mellum's are StarCoder's.
    explicit Vocabulary(const llama_vocab* vocab, FimOrder order = FimOrder::prefix_first);

    int32_t size() const { return llama_vocab_n_tokens(vocab_); }

    // Plain text: nothing is added, and marker names in the text stay text. `text` is valid UTF-8.
    std::vector<TokenId> tokenize(std::string_view text) const;
    // The same, but names of control tokens become these tokens, as in what a chat template makes.
    std::vector<TokenId> tokenize_markup(std::string_view text) const;

    // The bytes of a token; empty for control tokens. A multi-byte character may span several tokens.
    std::string piece(TokenId token) const;

    // As it stands in the model's file; how texts that are to hold a control token write it.
    std::string name(TokenId token) const { return llama_vocab_get_text(vocab_, token.value); }

    bool contains(TokenId token) const { return token.value >= 0 && token.value < size(); }
    bool is_control(TokenId token) const { return llama_vocab_is_control(vocab_, token.value); }
    // Ends a message, a text or a file of a repository.
    bool ends_generation(TokenId token) const {
        return llama_vocab_is_eog(vocab_, token.value) || token == file_end_;
    }

    // What a sequence must begin with, if the model wants anything.
    std::optional<TokenId> beginning() const;
    // Empty where the model was not trained to fill in the middle.
    const std::optional<FimMarkers>& fim() const { return fim_; }

    const llama_vocab* get() const { return vocab_; }

  private:
    enum class ControlNames { stay_text, become_tokens };

    std::vector<TokenId> tokenize_parts(std::string_view text, ControlNames names) const;
    size_t length_outside_of_names(std::string_view text, size_t length) const;
    void append_tokens(std::string_view text, ControlNames names, std::vector<TokenId>& tokens) const;

    std::optional<TokenId> token_called(const char* name) const;
    std::optional<FimMarkers> find_markers(FimOrder order) const;

    const llama_vocab* vocab_;
    std::optional<FimMarkers> fim_;
    std::optional<TokenId> file_end_; // one that libllama does not know for an end: StarCoder2's
};

} // namespace pie
