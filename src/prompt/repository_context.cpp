#include "prompt/repository_context.h"

#include "prompt/inner_text.h"

#include <string>
#include <utility>

namespace pie {
namespace {

constexpr std::string_view plain_separator = "\n\n--- snippet ---\n\n";

void append(std::vector<TokenId>& tokens, const std::vector<TokenId>& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
}

} // namespace

RepositoryContext::RepositoryContext(const Vocabulary& vocabulary, LayoutKind layout, size_t budget_tokens)
    : vocabulary_(&vocabulary), layout_(layout), budget_tokens_(budget_tokens) {
    const auto markers = vocabulary.fim();
    if (markers && markers->file_separator) {
        markers_ = markers;
        return;
    }
    separator_ = tokenize_inside(vocabulary, plain_separator);
    if (layout == LayoutKind::plain) {
        document_separator_ = separator_;
    }
}

size_t RepositoryContext::set(const DocumentContext& context) {
    size_t n_tokenized = 0;
    std::map<ContextChunk, Tokens> used;
    std::vector<const Tokens*> chunks;
    for (const ContextChunk& chunk : context.chunks) {
        auto at = used.find(chunk);
        if (at == used.end()) {
            if (auto known = tokenized_.extract(chunk)) {
                at = used.insert(std::move(known)).position;
            } else {
                at = used.emplace(chunk, chunk_tokens(chunk)).first;
                ++n_tokenized;
            }
        }
        chunks.push_back(&at->second);
    }
    tokenized_ = std::move(used); // which leaves its elements where they are
    join(context, chunks);
    return n_tokenized;
}

void RepositoryContext::join(const DocumentContext& context, const std::vector<const Tokens*>& chunks) {
    Tokens before;
    Tokens behind = document_separator_;
    if (markers_) {
        if (markers_->repository) {
            append_named(markers_->repository, context.repository_name, before);
        }
        append_named(markers_->file_separator, context.file_name, behind);
    }
    const size_t frame = before.size() + behind.size();
    size_t n_tokens = frame;
    std::vector<const Tokens*> fitting; // last one first
    for (auto at = chunks.rbegin(); at != chunks.rend(); ++at) {
        const Tokens* chunk = *at;
        if (frame + chunk->size() > budget_tokens_) {
            continue;
        }
        if (n_tokens + chunk->size() > budget_tokens_) {
            break;
        }
        n_tokens += chunk->size();
        fitting.push_back(chunk);
    }
    chunks_left_out_ = chunks.size() - fitting.size();
    tokens_.clear();
    const bool is_announced =
        (layout_ == LayoutKind::psm || context.shows_file_name) && markers_ && !context.file_name.empty();
    if (fitting.empty() && !(is_announced && frame <= budget_tokens_)) {
        return;
    }
    append(tokens_, before);
    for (auto at = fitting.rbegin(); at != fitting.rend(); ++at) {
        append(tokens_, **at);
    }
    append(tokens_, behind);
}

// A name and the text under it are tokenised apart, so that these are the tokens that llama-server's clients
// get from it.
void RepositoryContext::append_named(std::optional<TokenId> marker, std::string_view name,
                                     Tokens& tokens) const {
    if (marker) {
        tokens.push_back(*marker);
        append(tokens, tokenize_inside(*vocabulary_, std::string(name) + "\n"));
    }
}

RepositoryContext::Tokens RepositoryContext::chunk_tokens(const ContextChunk& chunk) const {
    Tokens tokens = separator_;
    if (markers_) {
        append_named(markers_->file_separator, chunk.file_name, tokens);
    }
    // What follows begins on a line of its own.
    const bool is_open = layout_ != LayoutKind::psm && !chunk.text.empty() && chunk.text.back() != '\n';
    append(tokens, tokenize_inside(*vocabulary_, is_open ? chunk.text + "\n" : chunk.text));
    return tokens;
}

void RepositoryContext::insert_into(std::vector<TokenId>& prompt) const {
    const bool has_beginning = vocabulary_->beginning().has_value();
    prompt.insert(prompt.begin() + (has_beginning ? 1 : 0), tokens_.begin(), tokens_.end());
}

} // namespace pie
