#include "session/live_sequence.h"

#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace pie {
namespace {

// `wanted` at `positions`.
std::vector<TokenId> tokens_at(std::span<const TokenId> wanted, std::span<const Position> positions) {
    std::vector<TokenId> tokens;
    tokens.reserve(positions.size());
    for (const Position position : positions) {
        tokens.push_back(wanted[static_cast<size_t>(position.value)]);
    }
    return tokens;
}

} // namespace

EditPlan LiveSequence::plan(std::span<const TokenId> wanted, const ReuseOptions& options) const {
    const std::span<const TokenId> cached = cache_.cells().tokens();
    std::vector<KeptRun> runs;
    if (options.method != ReuseMethod::full) {
        runs = diff_tokens(cached, wanted);
    }
    const bool repairs = options.method == ReuseMethod::pie_seam;
    const Vocabulary& vocabulary = engine_.model().vocabulary();
    return plan_edit(wanted, static_cast<int32_t>(cached.size()), runs,
                     [&vocabulary](TokenId token) { return vocabulary.is_control(token); },
                     {.seam = repairs ? options.seam : 0, .repair_control_tokens = repairs});
}

Result<UpdateReport> LiveSequence::update(std::span<const TokenId> wanted, const ReuseOptions& options,
                                          const std::function<void(int32_t, int32_t)>& progress) {
    PIE_CHECK(!wanted.empty(), "a prompt has at least one token");
    const auto start = std::chrono::steady_clock::now();
    UpdateReport report{.tokens_context = static_cast<int32_t>(wanted.size())};
    if (options.method == ReuseMethod::reuse && n_tokens() > 0) {
        report.tokens_kept = n_tokens();
        return report;
    }
    const EditPlan edit = plan(wanted, options);
    KvCells& cells = cache_.cells();
    if (!cells.can_begin(edit)) {
        return fail(ErrorCode::too_large,
                    fmt::format("the prompt has {} tokens, the context holds {}; use a larger "
                                "context (-c)",
                                wanted.size(), n_tokens_max()));
    }
    cells.begin(edit, wanted);
    if (options.method == ReuseMethod::cfe) {
        cells.leave_keys();
    }
    if (auto encoded = encode(wanted, edit.encode, progress); !encoded) {
        cells.rollback();
        return tl::unexpected(std::move(encoded).error());
    }
    cells.commit();
#ifdef PIE_DEV
    cells.check_invariant();
#endif
    report.tokens_kept = edit.tokens_kept;
    report.tokens_moved = edit.tokens_moved;
    report.tokens_encoded = static_cast<int32_t>(edit.encode.size());
    report.milliseconds =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return report;
}

Result<void> LiveSequence::encode(std::span<const TokenId> wanted, std::span<const Position> positions,
                                  const std::function<void(int32_t, int32_t)>& progress) {
    const auto n_batch = static_cast<size_t>(engine_.n_batch());
    for (size_t done = 0; done < positions.size(); done += n_batch) {
        const auto chunk = positions.subspan(done, std::min(n_batch, positions.size() - done));
        const std::vector<TokenId> tokens = tokens_at(wanted, chunk);
        const std::vector<CellIndex> cells = cache_.cells().place(chunk);
        const auto last = static_cast<int32_t>(chunk.size()) - 1;
        PIE_ASSIGN(
            const std::span<const float> logits,
            engine_.compute(
                cache_,
                {.tokens = tokens, .positions = chunk, .cells = cells, .outputs = std::span(&last, 1)}));
        // Only the last chunk's are the answer; until it is there, a cancelled update leaves the old one.
        if (done + chunk.size() == positions.size()) {
            logits_.assign(logits.begin(), logits.end());
        }
        if (progress) {
            progress(static_cast<int32_t>(done + chunk.size()), static_cast<int32_t>(positions.size()));
        }
    }
    return {};
}

Result<std::span<const float>> LiveSequence::extend(std::span<const TokenId> tokens) {
    const int32_t before = n_tokens();
    const auto n = static_cast<int32_t>(tokens.size());
    PIE_CHECK(n > 0 && n <= engine_.n_batch(), "extend() takes one batch");
    if (before + n > n_tokens_max()) {
        return fail(ErrorCode::too_large, fmt::format("the context of {} tokens is full", n_tokens_max()));
    }
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    std::vector<int32_t> outputs;
    for (int32_t i = 0; i < n; ++i) {
        positions.emplace_back(before + i);
        cells.push_back(cache_.cells().append(tokens[static_cast<size_t>(i)]));
        outputs.push_back(i);
    }
    auto logits = engine_.compute(
        cache_, {.tokens = tokens, .positions = positions, .cells = cells, .outputs = outputs});
    if (!logits) {
        cache_.cells().truncate(before);
        return logits;
    }
    const size_t n_vocab = logits->size() / tokens.size();
    logits_.assign(logits->end() - static_cast<std::ptrdiff_t>(n_vocab), logits->end());
    return logits;
}

void LiveSequence::rewind(int32_t n_tokens, std::vector<float> logits) {
    cache_.cells().truncate(n_tokens);
    logits_ = std::move(logits);
}

} // namespace pie
