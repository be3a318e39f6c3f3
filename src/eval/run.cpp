#include "eval/run.h"

#include "base/interrupt.h"
#include "eval/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace pie {
namespace {

constexpr std::string_view kept_notice = "what was measured so far is kept, if --out named a file";

bool needs_full_state(std::span<const Method> methods) {
    return std::ranges::any_of(methods, [](const Method& m) { return m.need == MethodNeed::full_state; });
}

// Methods that have no figures yet.
std::vector<Method> methods_left(const EvalRow& row, std::span<const Method> methods,
                                 const std::string& model, const Results& results) {
    std::vector<Method> left;
    for (const Method& method : methods) {
        if (results.find_success(blank_measurement(row, method, model).key) == nullptr) {
            left.push_back(method);
        }
    }
    return left;
}

} // namespace

RowRunner::RowRunner(Engine& engine, std::unique_ptr<KvCache> cache, const RunOptions& options)
    : engine_(engine), cache_(std::move(cache)), sequence_(engine, *cache_), options_(options) {}

Result<std::unique_ptr<RowRunner>> RowRunner::create(Engine& engine, const KvCacheOptions& cache,
                                                     const RunOptions& options) {
    PIE_ASSIGN(auto made, KvCache::create(engine.model(), cache));
    PIE_TRY(engine.reserve(*made));
    return std::unique_ptr<RowRunner>(new RowRunner(engine, std::move(made), options));
}

Result<void> RowRunner::run(const EvalRow& row, std::span<const Method> methods, const Receiver& receive) {
    const auto blank = [&](const Method& method) { return blank_measurement(row, method, options_.model); };
    const auto fails = [&](const Method& method, const Error& error) -> Result<void> {
        if (error.code == ErrorCode::cancelled) {
            return fail_interrupted(std::string(kept_notice));
        }
        Measurement failed = blank(method);
        failed.failure = error.message;
        return receive(std::move(failed));
    };
    const auto work = prepare(row, methods);
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
    const auto n_scored = std::min(row.target.size(), static_cast<size_t>(options_.n_scored_max));
    const size_t needed = std::max(row.before.size() + static_cast<size_t>(options_.n_completion_tokens),
                                   std::max(row.before.size(), row.after.size()) + n_scored);
    const auto n_cells = static_cast<size_t>(sequence_.n_tokens_max());
    if (needed > n_cells) {
        return fail(ErrorCode::too_large,
                    fmt::format("the row takes {} tokens, the context holds {}; use a larger context (-c)",
                                needed, n_cells));
    }
    return {};
}

Result<RowRunner::RowWork> RowRunner::prepare(const EvalRow& row, std::span<const Method> methods) {
    PIE_ASSIGN(EncodedRow encoded, encode_row(row, engine_.model().vocabulary()));
    PIE_TRY(check_room(encoded));
    encoded.target.resize(std::min(encoded.target.size(), static_cast<size_t>(options_.n_scored_max)));
    sequence_.clear();
    PIE_TRY(sequence_.update(encoded.before, {.method = ReuseMethod::full}));
    PIE_TRY(observe_completion());
    RowWork work{std::move(encoded), save(), {}, std::nullopt};
    PIE_ASSIGN(work.full, apply(full_recompute(), work));
    if (needs_full_state(methods)) {
        sequence_.rewind(static_cast<int32_t>(work.encoded.after.size()), {});
        work.full_state = FullState::read(*cache_);
    }
    return work;
}

Result<void> RowRunner::observe_completion() {
    const int32_t n_tokens = sequence_.n_tokens();
    const std::vector<float> logits(sequence_.logits().begin(), sequence_.logits().end());
    for (int32_t i = 0; i < options_.n_completion_tokens; ++i) {
        const TokenId token = likeliest(sequence_.logits());
        if (engine_.model().vocabulary().ends_generation(token)) {
            break;
        }
        PIE_TRY(sequence_.extend(std::span(&token, 1), Observe::yes));
    }
    sequence_.rewind(n_tokens, logits);
    return {};
}

Result<RowRunner::Scored> RowRunner::apply(const Method& method, const RowWork& work) {
    restore(work.saved);
    PIE_ASSIGN(const UpdateReport update,
               method.apply({.sequence = sequence_,
                             .cache = *cache_,
                             .after = work.encoded.after,
                             .full_state = work.full_state ? &*work.full_state : nullptr}));
    return score(update, work.encoded.target);
}

Result<RowRunner::Scored> RowRunner::score(const UpdateReport& update, std::span<const TokenId> target) {
    Scored scored{.update = update,
                  .logits = {sequence_.logits().begin(), sequence_.logits().end()},
                  .n_vocab = sequence_.logits().size()};
    const auto n_batch = static_cast<size_t>(engine_.n_batch());
    for (auto rest = target.first(target.size() - 1); !rest.empty();) {
        const auto batch = rest.first(std::min(rest.size(), n_batch));
        PIE_ASSIGN(const std::span<const float> logits, sequence_.extend(batch));
        scored.logits.insert(scored.logits.end(), logits.begin(), logits.end());
        rest = rest.subspan(batch.size());
    }
    return scored;
}

Result<Measurement> RowRunner::measure(const Method& method, const RowWork& work, Measurement m) {
    // Full recompute was made for reference already.
    const bool is_reference = method.name == full_recompute().name;
    std::optional<Scored> own;
    if (!is_reference) {
        PIE_ASSIGN(own, apply(method, work));
    }
    const Scored& scored = is_reference ? work.full : *own;
    const std::vector<TokenId>& target = work.encoded.target;
    m.tokens_before = static_cast<int32_t>(work.encoded.before.size());
    m.tokens_after = static_cast<int32_t>(work.encoded.after.size());
    m.tokens_scored = static_cast<int32_t>(target.size());
    m.tokens_encoded = scored.update.tokens_encoded;
    m.milliseconds = scored.update.milliseconds;
    m.exact_match = 1;
    m.full_exact_match = 1;
    for (size_t i = 0; i < target.size(); ++i) {
        const TokenId by_full = likeliest(work.full.at(i));
        const TokenId by_method = likeliest(scored.at(i));
        const double kl = is_reference ? 0.0 : kl_divergence(work.full.at(i), scored.at(i));
        m.kl += kl;
        m.kl_first = i == 0 ? kl : m.kl_first;
        m.top1_agreement += by_full == by_method ? 1 : 0;
        m.exact_match = by_method == target[i] ? m.exact_match : 0;
        m.full_exact_match = by_full == target[i] ? m.full_exact_match : 0;
        m.loss += log_loss(scored.at(i), target[i]);
        m.full_loss += log_loss(work.full.at(i), target[i]);
    }
    for (double* sum : {&m.kl, &m.top1_agreement, &m.loss, &m.full_loss}) {
        *sum /= static_cast<double>(target.size());
    }
    if (!std::isfinite(m.kl) || !std::isfinite(m.loss) || !std::isfinite(m.full_loss)) {
        return fail(ErrorCode::internal, "the model's logits are not finite");
    }
    return m;
}

std::vector<ggml_tensor*> RowRunner::tensors() const {
    std::vector<ggml_tensor*> all;
    for (int32_t layer = 0; layer < cache_->n_layer(); ++layer) {
        all.push_back(cache_->keys(layer));
        all.push_back(cache_->values(layer));
    }
    return all;
}

RowRunner::SavedState RowRunner::save() const {
    SavedState state{cache_->cells(), {}, {sequence_.logits().begin(), sequence_.logits().end()}};
    for (const ggml_tensor* tensor : tensors()) {
        const size_t bytes = static_cast<size_t>(state.cells.extent()) * tensor->nb[1];
        ggml_backend_tensor_get(tensor, state.rows.emplace_back(bytes).data(), 0, bytes);
    }
    return state;
}

void RowRunner::restore(const SavedState& state) {
    cache_->cells() = state.cells;
    const std::vector<ggml_tensor*> all = tensors();
    for (size_t i = 0; i < all.size(); ++i) {
        ggml_backend_tensor_set(all[i], state.rows[i].data(), 0, state.rows[i].size());
    }
    sequence_.rewind(state.cells.n_tokens(), state.logits);
}

Result<void> run_rows(std::span<const EvalRow> rows, std::span<const Method> methods, RowRunner& runner,
                      Results& results, Progress& progress) {
    size_t done = rows.size() - rows_left(rows, methods, runner.model(), results);
    progress.start("rows", ProgressUnit::items, rows.size(), done);
    for (const EvalRow& row : rows) {
        const std::vector<Method> left = methods_left(row, methods, runner.model(), results);
        if (left.empty()) {
            continue;
        }
        if (interrupted()) {
            return fail_interrupted(std::string(kept_notice));
        }
        std::string told; // a row that cannot be encoded fails with every method for one reason
        PIE_TRY(runner.run(row, left, [&](Measurement measurement) {
            if (measurement.failure != std::exchange(told, measurement.failure) && measurement.failed()) {
                progress.note(fmt::format("{}: {}", row.id, measurement.failure));
            }
            return results.add(std::move(measurement));
        }));
        progress.update(++done);
    }
    progress.finish();
    return {};
}

Measurement blank_measurement(const EvalRow& row, const Method& method, const std::string& model) {
    Measurement measurement;
    measurement.key = {.model = model, .row = row.id, .digest = row_digest(row), .method = method.name};
    measurement.kind = row.kind;
    measurement.language = row.language;
    return measurement;
}

size_t rows_left(std::span<const EvalRow> rows, std::span<const Method> methods, const std::string& model,
                 const Results& results) {
    return static_cast<size_t>(std::ranges::count_if(
        rows, [&](const EvalRow& row) { return !methods_left(row, methods, model, results).empty(); }));
}

} // namespace pie
