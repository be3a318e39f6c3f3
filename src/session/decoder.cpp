#include "session/decoder.h"

#include "base/check.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace pie {
namespace {

// Kernels for one token and for several may round differently: with ggml's, on Qwen2.5-Coder 0.5B (Q4_K_M,
// AVX-512), the lead of the likeliest token moves by 0.07 in the root of the mean square and 0.3 at most.
// Where they do, a batch does not decide below this lead.
constexpr float lead_min = 0.5F;

// The longer the common ending, the likelier the next token: behind two equal tokens 59 of 100 were right,
// behind four 78, behind sixteen 98 (greedy completions of 48 places in 24 source files). Three drafted
// tokens make a batch worth 2.1 of one behind two equal ones and 2.9 behind four, so they pay as long as one
// more costs less than such a share of the first. Until several sizes of batches are known it is taken to
// cost half: a draft tells.
constexpr double share_of_token_max = 0.6;
constexpr double share_behind_two_max = 0.35;
constexpr int32_t n_draft_max_by_default = 15;

// What a completion looks at changes little after its first tokens (docs/lab/fidelity.md).
constexpr int32_t n_observed_batches = 16;

// Of the likeliest token over the next.
float lead(std::span<const float> logits) {
    float first = std::numeric_limits<float>::lowest();
    float second = first;
    for (const float logit : logits) {
        second = std::max(second, std::min(first, logit));
        first = std::max(first, logit);
    }
    return first - second;
}

} // namespace

Decoder::Decoder(LiveSequence& sequence, std::optional<int32_t> draft_max)
    : sequence_(sequence), only_where_it_pays_(!draft_max),
      length_(draft_max.value_or(n_draft_max_by_default)) {}

bool Decoder::pays() const {
    return !only_where_it_pays_ || sequence_.engine().batch_cost().share_of_token() <= share_of_token_max;
}

size_t Decoder::n_equal_min() const {
    return sequence_.engine().batch_cost().share_of_token() <= share_behind_two_max ? 2 : 4;
}

Result<std::span<const float>> Decoder::advance(TokenId token, int32_t n_draft_max) {
    if (n_used_ < batch_.size() && batch_[n_used_] == token) {
        ++tokens_accepted_;
        ++n_used_;
    } else {
        drop_refused();
        std::vector<TokenId> batch = {token};
        const std::vector<TokenId> drafted = draft(token, n_draft_max);
        batch.insert(batch.end(), drafted.begin(), drafted.end());
        tokens_drafted_ += static_cast<int32_t>(drafted.size());
        PIE_TRY(extend(std::move(batch)));
    }
    if (batch_.size() > 1 && !sequence_.engine().is_batch_invariant() && lead(last_logits()) < lead_min) {
        --n_used_;
        drop_refused();
        PIE_TRY(extend({token}));
    }
    return last_logits();
}

Result<void> Decoder::extend(std::vector<TokenId> batch) {
    const Observe observe = n_batches_++ < n_observed_batches ? Observe::yes : Observe::no;
    PIE_ASSIGN(logits_, sequence_.extend(batch, observe));
    PIE_CHECK(std::ssize(logits_) == std::ssize(batch) * sequence_.engine().model().vocabulary().size(),
              "each token of a batch has its row of logits");
    batch_ = std::move(batch);
    n_used_ = 1;
    return {};
}

std::span<const float> Decoder::last_logits() const {
    const size_t n_vocab = logits_.size() / batch_.size();
    return logits_.subspan((n_used_ - 1) * n_vocab, n_vocab);
}

void Decoder::drop_refused() {
    if (batch_.size() > 1) {
        length_.record(static_cast<int32_t>(batch_.size()) - 1,
                       std::max(0, static_cast<int32_t>(n_used_) - 1));
    }
    if (n_used_ < batch_.size()) {
        sequence_.rewind(n_tokens(), {});
    }
    batch_.clear();
    n_used_ = 0;
}

std::vector<TokenId> Decoder::draft(TokenId token, int32_t n_draft_max) const {
    const int32_t n_cells_left = sequence_.n_tokens_max() - sequence_.n_tokens() - 1;
    const int32_t n_max =
        std::min({length_.next(), n_draft_max, n_cells_left, sequence_.engine().n_batch() - 1});
    if (n_max <= 0 || !pays()) {
        return {};
    }
    std::vector<TokenId> tokens(sequence_.tokens().begin(), sequence_.tokens().end());
    tokens.push_back(token);
    std::vector<TokenId> drafted = draft_from_earlier(tokens, n_max, n_equal_min());
    // Markers are never written, only ends are, and nothing comes after those.
    const Vocabulary& vocabulary = sequence_.engine().model().vocabulary();
    const auto marker = std::ranges::find_if(drafted, [&vocabulary](TokenId t) {
        return vocabulary.is_control(t) || vocabulary.ends_generation(t);
    });
    drafted.erase(marker, drafted.end());
    return drafted;
}

} // namespace pie
