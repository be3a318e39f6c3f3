#include "bench/replay_edit.h"

namespace pie {

const std::string_view replay_before =
    R"replay(Result<UpdateReport> LiveDocument::update(std::string_view text, ByteOffset cursor, const ReuseOptions& reuse,
                                          const std::function<void(int32_t, int32_t)>& progress) {
    const auto start = std::chrono::steady_clock::now();
    // A text that fits beside its context is whole. Of a longer one the window is such that a context of full
    // size fits beside it, whatever the size of this one: so chunks come and go without moving it. Only what
    // was placed before it had to make room moves, and once: a whole text that a chunk leaves no room for,
    // and a window from the time before the first chunk.
    const size_t taken = context_.tokens().size();
    PIE_ASSIGN(PromptWindow window,
               fitter_.fit(text, cursor, prompt_budget() - taken, taken > 0 ? context_budget() - taken : 0));
    context_.insert_into(window.tokens);
    hold_back_begun(window);
    if (window.tokens.empty()) {
        return fail(
            ErrorCode::invalid_argument,
            "there is no text before the cursor, and this model can only continue text; move the cursor, or "
            "use a model that fills in the middle");
    }
    lines_cut_ = {window.prefix_lines_cut, window.suffix_lines_cut};
    PIE_ASSIGN(UpdateReport report, sequence_.update(window.tokens, reuse, progress));
    repaired_ = false;
    report.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return report;
}

// The last token before the cursor may be a half-typed word, which no model was trained to go on from; the
// completion writes it anew. Where the prompt is split at the cursor, training has seen such splits.
void LiveDocument::hold_back_begun(PromptWindow& window) {
    begun_.clear();
    const std::string_view prefix = window.text.prefix;
    if (layout_.kind() != LayoutKind::psm && !prefix.empty() && !prefix.ends_with('\n') &&
        window.tokens.size() > 1) {
        begun_ = sequence_.engine().model().vocabulary().piece(window.tokens.back());
        window.tokens.pop_back();
    }
}

Result<UpdateReport> LiveDocument::update(std::span<const TokenId> prompt, const ReuseOptions& reuse) {
    if (prompt.size() > prompt_budget()) {
        return fail(ErrorCode::too_large,
                    fmt::format("the prompt has {} tokens, and {} are free beside a completion of {}; use a "
                                "larger context (-c)",
                                prompt.size(), prompt_budget(), options_.n_predict_max));
    }
    lines_cut_ = {};
    begun_.clear();
    repaired_ = false;
    return sequence_.update(prompt, reuse);
}
)replay";

const std::string_view replay_after =
    R"replay(Result<UpdateReport> LiveDocument::update(std::string_view text, ByteOffset cursor, const ReuseOptions& reuse,
                                          const std::function<void(int32_t, int32_t)>& progress) {
    const auto start = std::chrono::steady_clock::now();
    // A text that fits beside its context is whole. Of a longer one the window is such that a context of full
    // size fits beside it, whatever the size of this one: so chunks come and go without moving it. Only what
    // was placed before it had to make room moves, and once: a whole text that a chunk leaves no room for,
    // and a window from the time before the first chunk.
    const size_t taken = context_.tokens().size();
    PIE_ASSIGN(PromptWindow window,
               fitter_.fit(text, cursor, prompt_budget() - taken, taken > 0 ? context_budget() - taken : 0));
    context_.insert_into(window.tokens);
    std::string begun = hold_back_begun(window);
    if (window.tokens.empty()) {
        return fail(
            ErrorCode::invalid_argument,
            "there is no text before the cursor, and this model can only continue text; move the cursor, or "
            "use a model that fills in the middle");
    }
    PIE_ASSIGN(UpdateReport report, sequence_.update(window.tokens, reuse, progress));
    lines_cut_ = {window.prefix_lines_cut, window.suffix_lines_cut};
    begun_ = std::move(begun); // a failed update leaves the sequence that it belonged to
    repaired_ = false;
    report.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return report;
}

// The last token before the cursor may be a half-typed word, which no model was trained to go on from; the
// completion writes it anew. Where the prompt is split at the cursor, training has seen such splits.
std::string LiveDocument::hold_back_begun(PromptWindow& window) const {
    const std::string_view prefix = window.text.prefix;
    if (layout_.kind() == LayoutKind::psm || prefix.empty() || prefix.ends_with('\n') ||
        window.tokens.size() < 2) {
        return {};
    }
    std::string begun = sequence_.engine().model().vocabulary().piece(window.tokens.back());
    window.tokens.pop_back();
    return begun;
}

Result<UpdateReport> LiveDocument::update(std::span<const TokenId> prompt, const ReuseOptions& reuse) {
    if (prompt.size() > prompt_budget()) {
        return fail(ErrorCode::too_large,
                    fmt::format("the prompt has {} tokens, and {} are free beside a completion of {}; use a "
                                "larger context (-c)",
                                prompt.size(), prompt_budget(), options_.n_predict_max));
    }
    PIE_ASSIGN(UpdateReport report, sequence_.update(prompt, reuse));
    lines_cut_ = {};
    begun_.clear();
    repaired_ = false;
    return report;
}
)replay";

} // namespace pie
