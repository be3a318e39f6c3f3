#pragma once

// The tokens that tell the model of other files, in front of those of the document. A model that was trained
// on whole repositories sees them in its own format:
//
//     <|repo_name|>NAME
//     <|file_sep|>FILE        for each chunk
//     TEXT
//     <|file_sep|>FILE        the document's
//
// Others see the texts behind a line that no file holds by accident, the one that llama-server writes. Each
// part is tokenised by itself, so that a chunk has the same tokens wherever it stands and whatever stands
// beside it: what comes, goes or changes its place is that chunk alone. Without chunks there are no tokens,
// but for the document's name where it is to be shown.
//
// The layout `psm` is llama-server's, to the token, but for spaces that are not in the text
// (prompt/inner_text.h): there a document that has a name is announced without chunks too, and chunks stay as
// they are, where other layouts end their last lines.
//
// Thread rule: one thread at a time.

#include "model/vocabulary.h"
#include "prompt/layout.h"

#include <pie/context.h>
#include <pie/types.h>

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace pie {

class RepositoryContext {
  public:
    // `layout` is that of the prompts, which take a context of at most `budget_tokens`. The vocabulary
    // outlives this.
    RepositoryContext(const Vocabulary& vocabulary, LayoutKind layout, size_t budget_tokens);

    // Replaces the context. Chunks are taken whole, from the last one on, up to the first that does not fit
    // beside those behind it; one that would not fit alone is passed over. So a chunk that comes drives out
    // the oldest, and makes none return. Returns how many chunks it tokenised: those that the context before
    // did not have.
    size_t set(const DocumentContext& context);

    const std::vector<TokenId>& tokens() const { return tokens_; }
    size_t chunks_left_out() const { return chunks_left_out_; }

    // Puts the tokens into a prompt of the layout, behind its beginning-of-sequence token if it has one.
    void insert_into(std::vector<TokenId>& prompt) const;

  private:
    using Tokens = std::vector<TokenId>;

    void append_named(std::optional<TokenId> marker, std::string_view name, Tokens& tokens) const;
    Tokens chunk_tokens(const ContextChunk& chunk) const;
    void join(const DocumentContext& context, const std::vector<const Tokens*>& chunks);

    const Vocabulary* vocabulary_;
    LayoutKind layout_;
    std::optional<FimMarkers> markers_; // of models trained on repositories
    size_t budget_tokens_;
    Tokens separator_;                         // in front of a chunk, for other models
    Tokens document_separator_;                // in front of a document that no marker announces
    std::map<ContextChunk, Tokens> tokenized_; // the last context's chunks, those left out too
    Tokens tokens_;
    size_t chunks_left_out_ = 0;
};

} // namespace pie
