#include "cli/comparison.h"

#include "eval/metrics.h"

#include <nlohmann/json.hpp>

#include <utility>
#include <vector>

namespace pie {

Result<Answer> answer_edit(LiveDocument& session, std::string_view text, ByteOffset cursor,
                           const ReuseOptions& reuse, const CompletionOptions& options,
                           const std::function<void(int32_t done, int32_t total)>& progress) {
    Answer answer;
    PIE_ASSIGN(answer.update, session.update(text, cursor, reuse, progress));
    PIE_ASSIGN(answer.completion, session.complete(options));
    return answer;
}

Result<Comparison> compare_with_full(Answer edit, const LiveDocument& live, LiveDocument& reference,
                                     std::string_view text, ByteOffset cursor,
                                     const CompletionOptions& options,
                                     const std::function<void(int32_t done, int32_t total)>& progress) {
    Comparison comparison{.edit = std::move(edit), .full = {}};
    PIE_ASSIGN(comparison.full,
               answer_edit(reference, text, cursor, {.method = ReuseMethod::full}, options, progress));
    comparison.first_token_kl = kl_divergence(reference.sequence().logits(), live.sequence().logits());
    comparison.agreement = agreement(comparison.edit.completion.tokens, comparison.full.completion.tokens);
    return comparison;
}

nlohmann::json as_json(const Comparison& comparison) {
    const UpdateReport& update = comparison.edit.update;
    return {{"context_tokens", update.tokens_context},
            {"tokens_kept", update.tokens_kept},
            {"tokens_moved", update.tokens_moved},
            {"tokens_encoded", update.tokens_encoded},
            {"edit_to_first_token_ms", comparison.edit.first_token_milliseconds()},
            {"full_recompute_ms", comparison.full.first_token_milliseconds()},
            {"completion", comparison.edit.completion.text},
            {"completion_full", comparison.full.completion.text},
            {"first_token_kl", comparison.first_token_kl},
            {"agreement", comparison.agreement}};
}

} // namespace pie
