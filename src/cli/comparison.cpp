#include "cli/comparison.h"

#include "engine/logits.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

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

double agreement(std::span<const TokenId> a, std::span<const TokenId> b) {
    const size_t longer = std::max(a.size(), b.size());
    if (longer == 0) {
        return 1.0;
    }
    size_t equal = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        equal += a[i] == b[i] ? 1 : 0;
    }
    return static_cast<double>(equal) / static_cast<double>(longer);
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
