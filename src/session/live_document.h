#pragma once

// A live document: the text of one file and a cursor in it, kept encoded in a KV cache of its own, behind
// what the model is to know of other files. update() takes the whole text as it is now; what changed since
// the last one is found and encoded, the rest is reused.
//
// Thread rule: the model thread alone. Outlived by its Engine, which several documents may share.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "prompt/layout.h"
#include "prompt/repository_context.h"
#include "prompt/window.h"
#include "session/completion.h"
#include "session/live_sequence.h"

#include <pie/context.h>
#include <pie/result.h>
#include <pie/session.h>
#include <pie/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct LiveDocumentOptions {
    int32_t n_ctx = 0;           // tokens; 0: what the model was trained for, but 8,192 at most
    int32_t n_predict_max = 256; // room in the context that texts leave for a completion
    ggml_type type_k = GGML_TYPE_F16;
    ggml_type type_v = GGML_TYPE_F16;
    std::optional<LayoutKind> layout = {}; // default: fill in the middle where the model can
};

// Lines of the text that the prompt left out, because the context is smaller than the text.
struct LinesCut {
    size_t at_start = 0;
    size_t at_end = 0;
};

class LiveDocument {
  public:
    // Errors: those of KvCache::create, Engine::reserve and PromptLayout::create; invalid_argument (a context
    // too small for a prompt, or larger than the model's).
    static Result<std::unique_ptr<LiveDocument>> create(Engine& engine,
                                                        const LiveDocumentOptions& options = {});

    // `text` is valid UTF-8, `cursor` inside it, not inside a character. Afterwards the logits are those of
    // the token at the cursor. Errors: those of LiveSequence::update.
    Result<UpdateReport> update(std::string_view text, ByteOffset cursor, const ReuseOptions& reuse = {},
                                const std::function<void(int32_t done, int32_t total)>& progress = {});

    // A prompt that the caller made, as it is, but for healing; layout, context and window have no part in
    // it. Errors: too_large (no room for it and a completion), and those of LiveSequence::update.
    Result<UpdateReport> update(std::span<const TokenId> prompt, const ReuseOptions& reuse = {},
                                TokenHealing healing = TokenHealing::off);

    // What stands in front of the document from the next update on, until it is replaced: at most half of the
    // prompt, of the chunks given last as many as fit. Tokens of chunks that it held before are not made
    // again.
    void set_context(const DocumentContext& context) { context_.set(context); }

    // What comes at the cursor of the last update. `options.n_predict` is cut to what the
    // context has room for, and `options.stop.fence` to what the text allows.
    Result<Completion> complete(CompletionOptions options, const TextReceiver& receive = {});

    // The same from one cache `n` times; see pie::complete_several.
    Result<std::vector<Completion>> complete_several(CompletionOptions options, int32_t n,
                                                     const SeveralReceiver& receive = {});

    // One slice of work for idle time, called until it returns 0. First the tokens that the last completions
    // looked at most are encoded again, then the sequence from its exact part on, until all of it is what a
    // full recompute would hold. Returns how many tokens it encoded. The engine's cancel flag ends a slice
    // within milliseconds, and then nothing has changed but that the next one is half as long; where one took
    // little time, the next is twice as long, because long ones are efficient. Errors: cancelled, internal.
    Result<int32_t> heal();

    // Forgets everything cached; the context stays set.
    void clear() { sequence_.clear(); }

    // By the last update's prompt.
    const LinesCut& lines_cut() const { return lines_cut_; }
    // Of the context set last.
    size_t chunks_left_out() const { return context_.chunks_left_out(); }
    int32_t n_ctx() const { return options_.n_ctx; }
    LayoutKind layout() const { return layout_.kind(); }
    LiveSequence& sequence() { return sequence_; }
    const LiveSequence& sequence() const { return sequence_; }
    const KvCache& cache() const { return *cache_; }
    KvCache& cache() { return *cache_; }

  private:
    LiveDocument(Engine& engine, std::unique_ptr<KvCache> cache, PromptLayout layout,
                 const LiveDocumentOptions& options);

    // What of the text before the cursor completions are to write anew.
    struct Begun {
        std::string text;
        std::optional<TokenId> token; // that is just this text, if it is to be encoded ahead
    };

    // Takes it out of a prompt.
    Begun hold_back_begun(PromptWindow& window) const;
    Begun hold_back_last(std::vector<TokenId>& prompt) const;
    Result<UpdateReport> update_sequence(std::span<const TokenId> prompt, const ReuseOptions& reuse,
                                         const UpdateProgress& progress, std::optional<TokenId> ahead);
    Result<int32_t> repair();
    // Tokens of a prompt, and what of them a context may take.
    size_t prompt_budget() const { return static_cast<size_t>(options_.n_ctx - options_.n_predict_max); }
    int32_t room() const { return options_.n_ctx - static_cast<int32_t>(sequence_.tokens().size()); }
    size_t context_budget() const { return prompt_budget() / 2; }

    LiveDocumentOptions options_;
    std::unique_ptr<KvCache> cache_;
    LiveSequence sequence_;
    PromptLayout layout_;
    PromptFitter fitter_;
    RepositoryContext context_;
    LinesCut lines_cut_;
    FenceStop fence_max_ = FenceStop::never; // by the text
    std::string begun_; // stands before the cursor, and is not in the sequence: completions begin with it
    bool is_chosen_ = false; // what to repair in idle time, since the last edit that left something outdated
    std::vector<Position> to_repair_; // what is left of it
    int32_t slice_tokens_;            // of repair and healing
};

} // namespace pie
