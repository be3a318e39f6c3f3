#pragma once

// Takes a sequence forward token by token, with drafts checked along where they are wanted: a token that was
// drafted has its logits already. Where a batch leaves the choice of the next token too close, and the engine
// is not batch-invariant, the token before it is computed again alone, as it is without drafts.
//
// What the first batches look at is recorded in the sequence, for the repairs of later edits.
//
// Thread rule: the model thread alone. Outlived by the sequence, whose tokens behind those accepted are
// undefined until its owner rewinds it.

#include "session/draft.h"
#include "session/live_sequence.h"

#include <pie/result.h>
#include <pie/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pie {

class Decoder {
  public:
    // Drafts of up to `draft_max` tokens; 0: none. Without a value as long as they are likely to pay.
    Decoder(LiveSequence& sequence, std::optional<int32_t> draft_max);

    // Appends `token`; the logits behind it, valid until the next call. No more than `n_draft_max` tokens are
    // drafted behind it. Errors: those of LiveSequence::extend.
    Result<std::span<const float>> advance(TokenId token, int32_t n_draft_max);

    int32_t tokens_drafted() const { return tokens_drafted_; }
    int32_t tokens_accepted() const { return tokens_accepted_; } // of the drafted ones

    // No cell is left for another token.
    bool is_full() const { return n_tokens() == sequence_.n_tokens_max(); }

  private:
    // Of the sequence, as far as it is accepted.
    int32_t n_tokens() const { return sequence_.n_tokens() - static_cast<int32_t>(batch_.size() - n_used_); }
    std::span<const float> last_logits() const; // behind the token that was advanced by last
    Result<void> extend(std::vector<TokenId> batch);
    void drop_refused();
    bool pays() const;
    size_t n_equal_min() const;
    std::vector<TokenId> draft(TokenId token, int32_t n_draft_max) const;

    LiveSequence& sequence_;
    bool only_where_it_pays_;
    DraftLength length_;
    std::vector<TokenId> batch_; // the last one: a token and the draft behind it
    size_t n_used_ = 0;          // of its tokens, from the front: what was advanced by
    int32_t n_batches_ = 0;
    int32_t tokens_drafted_ = 0;
    int32_t tokens_accepted_ = 0;
    std::span<const float> logits_; // [batch_.size()][n_vocab]
};

} // namespace pie
