#include "eval/row_runner.h"

#include "base/interrupt.h"
#include "engine/logits.h"
#include "eval/edit_diff.h"
#include "eval/text_metrics.h"
#include "session/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pie {
namespace {

// Where a function at the left margin ends, as HumanEval's own programs have it.
const std::vector<std::string>& program_ends() {
    static const std::vector<std::string> ends = {"\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@"};
    return ends;
}

std::span<const TokenId> common_start(std::span<const TokenId> a, std::span<const TokenId> b) {
    return a.first(static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin()));
}

} // namespace

RowRunner::RowRunner(Engine& engine, std::unique_ptr<KvCache> cache, const RunOptions& options)
    : engine_(engine), cache_(std::move(cache)), sequence_(engine, *cache_), options_(options),
      flops_(engine.model()) {}

Result<std::unique_ptr<RowRunner>> RowRunner::create(Engine& engine, const KvCacheOptions& cache,
                                                     const RunOptions& options) {
    PIE_ASSIGN(auto made, KvCache::create(engine.model(), cache));
    PIE_TRY(engine.reserve(*made));
    return std::unique_ptr<RowRunner>(new RowRunner(engine, std::move(made), options));
}

Result<void> RowRunner::run(const EvalRow& row, const EvalRow* other, std::span<const Method> methods,
                            const Receiver& receive) {
    const auto blank = [&](const Method& method) { return blank_measurement(row, method, options_.model); };
    const auto fails = [&](const Method& method, const Error& error) -> Result<void> {
        if (error.code == ErrorCode::cancelled) {
            return fail_interrupted(std::string(kept_notice));
        }
        Measurement failed = blank(method);
        failed.failure = error.message;
        return receive(std::move(failed));
    };
    const bool needs_other =
        std::ranges::find(methods, MethodNeed::other_row, &Method::need) != methods.end();
    const auto work = prepare(row, needs_other ? other : nullptr);
    for (const Method& method : methods) {
        if (!work) {
            PIE_TRY(fails(method, work.error()));
            continue;
        }
        auto measured = measure(method, *work, blank(method));
        PIE_TRY(measured ? receive(*std::move(measured)) : fails(method, measured.error()));
    }
    return {};
}

Result<void> RowRunner::check_room(const EncodedRow& row) const {
    constexpr size_t n_spare = 1; // for what a method puts in for a moment
    size_t n_prompt = std::max(row.before.size(), row.after.size());
    for (const std::vector<TokenId>& step : row.steps) {
        n_prompt = std::max(n_prompt, step.size());
    }
    const auto n_behind = std::max(std::min(row.target.size(), static_cast<size_t>(options_.n_scored_max)),
                                   static_cast<size_t>(options_.n_completion_tokens));
    const size_t needed = n_prompt + std::max(n_behind, n_spare);
    const auto n_cells = static_cast<size_t>(sequence_.n_tokens_max());
    if (needed > n_cells) {
        return fail(ErrorCode::too_large,
                    fmt::format("the row takes {} tokens, the context holds {}; use a larger context (-c)",
                                needed, n_cells));
    }
    return {};
}

Result<RowRunner::RowWork> RowRunner::prepare(const EvalRow& row, const EvalRow* other) {
    if (!row.test.empty() && !options_.run_program) {
        return fail(ErrorCode::unsupported,
                    "the row is judged by running what the model writes; allow that with --run-code");
    }
    const Vocabulary& vocabulary = engine_.model().vocabulary();
    PIE_ASSIGN(EncodedRow encoded, encode_row(row, vocabulary));
    std::vector<TokenId> other_prompt;
    if (other != nullptr) {
        PIE_ASSIGN(EncodedRow other_row, encode_row(*other, vocabulary));
        other_prompt = std::move(other_row.after);
    }
    PIE_TRY(check_room(encoded));
    encoded.target.resize(std::min(encoded.target.size(), static_cast<size_t>(options_.n_scored_max)));
    PIE_TRY(refer_to(row, encoded));
    PIE_TRY(encode_before(encoded.before));
    return RowWork{row, std::move(encoded), std::move(other_prompt), SavedState::save(sequence_, *cache_)};
}

Result<void> RowRunner::refer_to(const EvalRow& row, const EncodedRow& encoded) {
    if (reference_ && reference_->after == encoded.after && reference_->target == encoded.target &&
        reference_->test == row.test) {
        return {};
    }
    reference_.reset();
    sequence_.clear();
    Outcome outcome;
    PIE_ASSIGN(outcome.update, sequence_.update(encoded.after, {.method = ReuseMethod::full}));
    SavedState saved = SavedState::save(sequence_, *cache_);
    FullState state = FullState::read(*cache_);
    outcome.cosines = layer_cosines(*cache_, state, Position(0));
    PIE_ASSIGN(outcome.scored, score(encoded.target));
    PIE_ASSIGN(outcome.completion, write(row));
    reference_ = Reference{encoded.after,    encoded.target,   row.test,
                           std::move(saved), std::move(state), {{full_recompute().name, std::move(outcome)}}};
    return {};
}

// From the edited prompt's beginning, as far as the two are the same; what is exact there is exact here.
Result<void> RowRunner::encode_before(std::span<const TokenId> before) {
    reference_->saved.restore(sequence_, *cache_);
    const size_t n_same = common_start(before, reference_->after).size();
    sequence_.rewind(static_cast<int32_t>(std::min(n_same, before.size() - 1)), {});
    PIE_TRY(sequence_.update(before, {.method = ReuseMethod::pie}));
    if (options_.n_completion_tokens > 0) {
        PIE_TRY(complete(sequence_, {.n_predict = options_.n_completion_tokens}));
    }
    return {};
}

Result<void> RowRunner::update(const Method& method, const RowWork& work, Outcome& outcome) {
    const EncodedRow& row = work.encoded;
    if (!row.steps.empty() && method.need == MethodNeed::full_state) {
        return fail(ErrorCode::unsupported,
                    "an oracle is told of one full recompute, and the row has several edits");
    }
    if (method.need == MethodNeed::other_row && work.other.empty()) {
        return fail(ErrorCode::unsupported, "the method needs another row, and the data has none");
    }
    const auto step_to = [&](std::span<const TokenId> after) -> Result<void> {
        PIE_ASSIGN(const UpdateReport report,
                   method.apply({.sequence = sequence_,
                                 .cache = *cache_,
                                 .after = after,
                                 .full_state = &reference_->state,
                                 .other = work.other,
                                 .n_completion_tokens = options_.n_completion_tokens}));
        outcome.update.tokens_encoded += report.tokens_encoded;
        outcome.update.milliseconds += report.milliseconds;
        return {};
    };
    if (method.depends_on == DependsOn::history) {
        for (const std::vector<TokenId>& step : row.steps) {
            PIE_TRY(step_to(step));
            ++outcome.n_updates;
        }
    }
    return step_to(row.after);
}

Result<RowRunner::Outcome> RowRunner::apply(const Method& method, const RowWork& work) {
    work.saved.restore(sequence_, *cache_);
    Outcome outcome;
    PIE_TRY(update(method, work, outcome));
    const EncodedRow& row = work.encoded;
    if (std::ranges::equal(sequence_.tokens(), row.after)) {
        const size_t n_same =
            method.depends_on == DependsOn::edited_prompt ? 0 : common_start(row.after, row.before).size();
        const auto begin = static_cast<int32_t>(std::min(n_same, row.after.size() - 1));
        outcome.cosines = layer_cosines(*cache_, reference_->state, Position(begin));
    }
    PIE_ASSIGN(outcome.scored, score(row.target));
    PIE_ASSIGN(const bool same, would_write(reference_->full().completion));
    if (same) {
        outcome.completion = reference_->full().completion;
    } else {
        PIE_ASSIGN(outcome.completion, write(work.row));
    }
    return outcome;
}

Result<Scored> RowRunner::score(std::span<const TokenId> target) {
    const std::vector<float> first(sequence_.logits().begin(), sequence_.logits().end());
    const int32_t n_tokens = sequence_.n_tokens();
    Scored scored{.logits = first, .n_vocab = first.size()};
    const auto n_batch = static_cast<size_t>(engine_.n_batch());
    for (auto rest = target.first(target.size() - 1); !rest.empty();) {
        const auto batch = rest.first(std::min(rest.size(), n_batch));
        PIE_ASSIGN(const std::span<const float> logits, sequence_.extend(batch));
        scored.logits.insert(scored.logits.end(), logits.begin(), logits.end());
        rest = rest.subspan(batch.size());
    }
    sequence_.rewind(n_tokens, first);
    return scored;
}

Result<Completion> RowRunner::write(const EvalRow& row) {
    if (!row.test.empty()) {
        return complete(
            sequence_,
            {.n_predict = options_.n_program_tokens, .sampling = {}, .stop = {.strings = program_ends()}});
    }
    std::string text;
    return complete(sequence_, {.n_predict = options_.n_line_tokens}, [&](std::string_view piece) {
        text += piece;
        return predicts_line(text, row.language) ? StreamControl::stop : StreamControl::go_on;
    });
}

// In batches: a completion that differs does so early.
Result<bool> RowRunner::would_write(const Completion& completion) {
    constexpr size_t n_batch = 16;
    const std::vector<float> first(sequence_.logits().begin(), sequence_.logits().end());
    const int32_t n_tokens = sequence_.n_tokens();
    TokenId next = likeliest(first);
    bool same = std::ssize(completion.tokens) <= sequence_.n_tokens_max() - n_tokens;
    for (std::span<const TokenId> rest = completion.tokens; same && !rest.empty();) {
        const auto batch = rest.first(std::min(rest.size(), n_batch));
        same = next == batch.front();
        if (!same) {
            break;
        }
        PIE_ASSIGN(const std::span<const float> logits, sequence_.extend(batch));
        const size_t n_vocab = first.size();
        for (size_t i = 0; i < batch.size(); ++i) {
            same = same && next == batch[i];
            next = likeliest(logits.subspan(i * n_vocab, n_vocab));
        }
        rest = rest.subspan(batch.size());
    }
    if (completion.finish == FinishReason::end_of_text) {
        same = same && engine_.model().vocabulary().ends_generation(next);
    }
    sequence_.rewind(n_tokens, first);
    return same;
}

const RowRunner::Outcome* RowRunner::find_shared(const Method& method) const {
    const auto found = reference_->outcomes.find(method.name);
    return found == reference_->outcomes.end() ? nullptr : &found->second;
}

Result<Measurement> RowRunner::measure(const Method& method, const RowWork& work, Measurement m) {
    const Outcome* shared = find_shared(method);
    Outcome own;
    if (shared == nullptr) {
        PIE_ASSIGN(own, apply(method, work));
        shared = &own;
        if (method.depends_on == DependsOn::edited_prompt) {
            shared = &(reference_->outcomes[method.name] = std::move(own));
        }
    }
    const Outcome& outcome = *shared;
    m.tokens_before = static_cast<int32_t>(work.encoded.before.size());
    m.tokens_after = static_cast<int32_t>(work.encoded.after.size());
    m.tokens_scored = static_cast<int32_t>(work.encoded.target.size());
    m.n_edits = static_cast<int32_t>(work.encoded.steps.size()) + 1;
    m.tokens_encoded = static_cast<double>(outcome.update.tokens_encoded) / outcome.n_updates;
    m.milliseconds = outcome.update.milliseconds / outcome.n_updates;
    m.flops = flops_.update(m.tokens_encoded, m.tokens_after);
    m.key_cosines = outcome.cosines.keys;
    m.value_cosines = outcome.cosines.values;
    fill_agreement(m, outcome.scored, reference_->full().scored, work.encoded.target);
    if (!std::isfinite(m.kl) || !std::isfinite(m.loss)) {
        return fail(ErrorCode::internal, "the model's logits are not finite");
    }
    const std::string& written = outcome.completion.text;
    judge_line(m, work.row, written);
    if (method.name == full_recompute().name) {
        m.edit = edit_diff(work.row);
    }
    if (!work.row.test.empty()) {
        PIE_ASSIGN(m.passed, options_.run_program(work.row.after + written + work.row.test));
    }
    return m;
}

Measurement blank_measurement(const EvalRow& row, const Method& method, const std::string& model) {
    Measurement measurement;
    measurement.key = {.model = model, .row = row.id, .digest = row_digest(row), .method = method.name};
    measurement.kind = row.kind;
    measurement.setting = row.setting;
    measurement.language = row.language;
    return measurement;
}

} // namespace pie
