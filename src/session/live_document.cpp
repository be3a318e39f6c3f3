#include "session/live_document.h"

#include "base/elapsed.h"
#include "prompt/blanks.h"
#include "text/fences.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace pie {
namespace {

// At which lines with a fence a text's completion may end.
FenceStop fence_stop_max(std::string_view text, ByteOffset cursor) {
    if (has_fences(text)) {
        return FenceStop::never;
    }
    const std::string_view before = text.substr(0, cursor.value);
    const std::string_view line = before.substr(before.rfind('\n') + 1);
    return line.find_first_not_of(" \t") == std::string_view::npos ? FenceStop::anywhere
                                                                   : FenceStop::behind_first_line;
}

constexpr int32_t n_ctx_default_max = 8192; // more would cost memory that few files need
// Cells beyond the context: an edit of a full context is placed into them, so that it can be taken back when
// it is cancelled, and so is a slice of healing.
constexpr int32_t n_spare_cells = 256;
constexpr int32_t slice_tokens_min = 8;
constexpr int32_t slice_tokens_max = n_spare_cells;
// What takes longer is not followed by a longer slice: it would gain nothing, and an edit, which can stop it
// between two operators of the graph, would wait for longer ones.
constexpr std::chrono::milliseconds slice_time_max(250);
constexpr int32_t idle_repair_tokens = 128; // docs/lab/fidelity.md
constexpr int32_t n_prompt_min = 32;

Result<int32_t> context_size(const LoadedModel& model, const LiveDocumentOptions& options) {
    const int32_t trained = model.hparams().n_ctx_train;
    if (options.n_ctx > trained) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format(
                "the model was trained for a context of {} tokens, {} are asked for; give -c {} or less",
                trained, options.n_ctx, trained));
    }
    const int32_t n_ctx = options.n_ctx > 0 ? options.n_ctx : std::min(trained, n_ctx_default_max);
    const int32_t needed = n_prompt_min + options.n_predict_max;
    if (n_ctx < needed) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format(
                "a context of {} tokens leaves no room for a prompt beside {} tokens of completion; give "
                "-c {} or more, or fewer tokens (-n)",
                n_ctx, options.n_predict_max, needed));
    }
    return n_ctx;
}

void tell_full_context(Completion& completion, bool is_cut) {
    if (is_cut && completion.finish == FinishReason::length) {
        completion.finish = FinishReason::context;
    }
}

} // namespace

LiveDocument::LiveDocument(Engine& engine, std::unique_ptr<KvCache> cache, PromptLayout layout,
                           const LiveDocumentOptions& options)
    : options_(options), cache_(std::move(cache)), sequence_(engine, *cache_), layout_(std::move(layout)),
      fitter_(layout_), context_(engine.model().vocabulary(), layout_.kind(), context_budget()),
      slice_tokens_(slice_tokens_min) {}

Result<std::unique_ptr<LiveDocument>> LiveDocument::create(Engine& engine,
                                                           const LiveDocumentOptions& options) {
    LiveDocumentOptions settled = options;
    PIE_ASSIGN(settled.n_ctx, context_size(engine.model(), options));
    const Vocabulary& vocabulary = engine.model().vocabulary();
    PIE_ASSIGN(PromptLayout layout,
               PromptLayout::create(vocabulary, options.layout.value_or(default_layout(vocabulary))));
    PIE_ASSIGN(auto cache, KvCache::create(engine.model(), {.n_cells = settled.n_ctx + n_spare_cells,
                                                            .type_k = options.type_k,
                                                            .type_v = options.type_v}));
    PIE_TRY(engine.reserve(*cache));
    return std::unique_ptr<LiveDocument>(
        new LiveDocument(engine, std::move(cache), std::move(layout), settled));
}

Result<UpdateReport> LiveDocument::update(std::string_view text, ByteOffset cursor, const ReuseOptions& reuse,
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
    Begun begun = hold_back_begun(window);
    if (window.tokens.empty()) {
        return fail(
            ErrorCode::invalid_argument,
            "there is no text before the cursor, and this model can only continue text; move the cursor, or "
            "use a model that fills in the middle");
    }
    PIE_ASSIGN(UpdateReport report, update_sequence(window.tokens, reuse, progress, begun.token));
    lines_cut_ = {window.prefix_lines_cut, window.suffix_lines_cut};
    // A failed update leaves the sequence that it belonged to.
    begun_ = std::move(begun.text);
    fence_max_ = fence_stop_max(text, cursor);
    report.milliseconds = milliseconds_since(start);
    return report;
}

Result<UpdateReport> LiveDocument::update_sequence(std::span<const TokenId> prompt, const ReuseOptions& reuse,
                                                   const UpdateProgress& progress,
                                                   std::optional<TokenId> ahead) {
    const auto n_same = std::ranges::mismatch(sequence_.tokens(), prompt).in2 - prompt.begin();
    auto updated = sequence_.update(prompt, reuse, progress, ahead);
    if (!updated) {
        is_chosen_ = false; // of an update that is cut short the sequence has a part
        return updated;
    }
    const UpdateReport& report = *updated;
    // What is typed at the end makes nothing stale: what was chosen to be repaired still is.
    is_chosen_ = is_chosen_ && report.tokens_kept <= n_same;
    return report;
}

// The last token before the cursor may be a half-typed word, which no model was trained to go on from; the
// completion writes it anew, and often as it was: so it is encoded ahead. Blanks are encoded as they stand
// before a word. Where the prompt is split at the cursor, training has seen such splits.
LiveDocument::Begun LiveDocument::hold_back_begun(PromptWindow& window) const {
    const std::string_view prefix = window.text.prefix;
    if (layout_.kind() == LayoutKind::psm || prefix.empty()) {
        return {};
    }
    return hold_back_last(window.tokens);
}

// Nothing at the end of a line, behind which any token may begin.
LiveDocument::Begun LiveDocument::hold_back_last(std::vector<TokenId>& prompt) const {
    if (prompt.size() < 2) {
        return {};
    }
    const Vocabulary& vocabulary = sequence_.engine().model().vocabulary();
    const TokenId token = prompt.back();
    std::string text = vocabulary.piece(token);
    if (text.empty() || text.ends_with('\n')) { // a control token's is empty
        return {};
    }
    prompt.pop_back();
    if (const std::optional<TokenId> blanks = blanks_before_word(vocabulary, text)) {
        prompt.push_back(*blanks);
        return {.text = {text.back()}, .token = {}};
    }
    return {.text = std::move(text), .token = token};
}

Result<UpdateReport> LiveDocument::update(std::span<const TokenId> prompt, const ReuseOptions& reuse,
                                          TokenHealing healing) {
    if (prompt.size() > static_cast<size_t>(options_.n_ctx)) {
        return fail(ErrorCode::too_large,
                    fmt::format("the prompt has {} tokens, and the context {}; use a larger one (-c)",
                                prompt.size(), options_.n_ctx));
    }
    std::vector<TokenId> tokens(prompt.begin(), prompt.end());
    Begun begun = healing == TokenHealing::on ? hold_back_last(tokens) : Begun();
    PIE_ASSIGN(UpdateReport report, update_sequence(tokens, reuse, {}, begun.token));
    lines_cut_ = {};
    begun_ = std::move(begun.text);
    fence_max_ = FenceStop::anywhere;
    return report;
}

Result<int32_t> LiveDocument::heal() {
    const auto start = std::chrono::steady_clock::now();
    auto encoded = repair();
    if (encoded && *encoded == 0) {
        encoded = sequence_.heal(slice_tokens_);
    }
    if (!encoded) {
        slice_tokens_ = std::max(slice_tokens_ / 2, slice_tokens_min);
    } else if (*encoded > 0 && std::chrono::steady_clock::now() - start < slice_time_max) {
        slice_tokens_ = std::min(2 * slice_tokens_, slice_tokens_max);
    }
    return encoded;
}

// In ascending order: each slice sees what those before it mended.
Result<int32_t> LiveDocument::repair() {
    if (!std::exchange(is_chosen_, true)) {
        to_repair_ = sequence_.worth_repairing(idle_repair_tokens);
    }
    while (!to_repair_.empty()) {
        const auto n = std::min(static_cast<size_t>(slice_tokens_), to_repair_.size());
        PIE_ASSIGN(const int32_t n_repaired, sequence_.repair(std::span(to_repair_).first(n)));
        to_repair_.erase(to_repair_.begin(), to_repair_.begin() + static_cast<std::ptrdiff_t>(n));
        if (n_repaired > 0) {
            return n_repaired;
        }
    }
    return 0;
}

Result<Completion> LiveDocument::complete(CompletionOptions options, const TextReceiver& receive) {
    const bool is_cut = options.n_predict > room();
    options.n_predict = std::min(options.n_predict, room());
    options.stop.fence = std::min(options.stop.fence, fence_max_);
    PIE_ASSIGN(Completion completion, pie::complete(sequence_, options, receive, begun_));
    tell_full_context(completion, is_cut);
    return completion;
}

Result<std::vector<Completion>> LiveDocument::complete_several(CompletionOptions options, int32_t n,
                                                               const SeveralReceiver& receive) {
    const bool is_cut = options.n_predict > room();
    options.n_predict = std::min(options.n_predict, room());
    options.stop.fence = std::min(options.stop.fence, fence_max_);
    PIE_ASSIGN(auto completions, pie::complete_several(sequence_, options, n, receive, begun_));
    for (Completion& completion : completions) {
        tell_full_context(completion, is_cut);
    }
    return completions;
}

} // namespace pie
