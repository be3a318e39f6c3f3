#include "session/live_sequence.h"

#include "base/check.h"
#include "base/elapsed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>

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

// Where the plan keeps tokens whose keys are worn: the first of them, so that each update mends a few, and
// none stays worn for long.
std::vector<Position> worn_positions(const KvCells& cells, const EditPlan& plan) {
    constexpr size_t n_max = 32;
    std::vector<Position> worn;
    for (const KeptRun& run : plan.keep) {
        for (int32_t i = 0; i < run.length && worn.size() < n_max; ++i) {
            if (cells.is_worn(Position(run.from + i))) {
                worn.emplace_back(run.to + i);
            }
        }
    }
    return worn;
}

// Where the plan keeps the tokens at `positions` (ascending).
std::vector<Position> kept_at(const EditPlan& plan, std::span<const Position> positions) {
    std::vector<Position> kept;
    for (const KeptRun& run : plan.keep) {
        auto next = std::ranges::lower_bound(positions, Position(run.from));
        for (; next != positions.end() && *next < Position(run.from + run.length); ++next) {
            kept.emplace_back(run.to + next->value - run.from);
        }
    }
    return kept;
}

std::vector<Position> stale_of(std::span<const Position> positions, std::span<const Position> stale) {
    std::vector<Position> both;
    std::ranges::set_intersection(positions, stale, std::back_inserter(both));
    return both;
}

// Exact tokens that are not identical to a full recompute's.
std::vector<Position> rounded_positions(const KvCells& cells) {
    std::vector<Position> positions;
    for (int32_t i = cells.n_identical(); i < cells.n_exact(); ++i) {
        if (!cells.is_identical(Position(i))) {
            positions.emplace_back(i);
        }
    }
    return positions;
}

Rounding rounding_of(Products products) {
    return products == Products::batch_invariant ? Rounding::as_full : Rounding::otherwise;
}

constexpr int32_t piece_min = 8; // tokens; shorter ones cost nearly as much
constexpr int32_t seam_min = 2;  // what a seam is shortened to at the most

// Layers agree enough on what matters for a few of them to tell (docs/lab/fidelity.md).
LayerSet every_fourth(int32_t n_layer) {
    LayerSet layers;
    for (int32_t layer = 3; layer < std::min(n_layer, 64); layer += 4) {
        layers.bits |= uint64_t{1} << static_cast<uint32_t>(layer);
    }
    return layers;
}

} // namespace

LiveSequence::LiveSequence(Engine& engine, KvCache& cache)
    : engine_(engine), cache_(cache), observed_(every_fourth(cache.n_layer())),
      piece_size_(std::min(std::max(piece_min, engine.n_invariant()), engine.n_batch()), engine.n_batch()) {}

// The logits of the last `n_outputs` tokens are wanted, so that these are encoded, whatever source holds
// them: it is seen to before any source is turned to.
EditPlan LiveSequence::plan(std::span<const TokenId> wanted, const ReuseOptions& options,
                            int32_t n_outputs) const {
    const KvCells& cells = cache_.cells();
    const std::span<const TokenId> cached = cells.tokens();
    const auto n_cached = static_cast<int32_t>(cached.size());
    std::vector<KeptRun> runs;
    if (options.method != ReuseMethod::full) {
        runs = diff_tokens(cached, wanted);
    }
    const bool repairs = options.method == ReuseMethod::pie_seam;
    DroppedBlocks blocks;
    if (repairs) {
        blocks = cells.dropped_blocks(wanted, runs, DiffOptions().moved_run_min);
        runs.insert(runs.end(), blocks.runs.begin(), blocks.runs.end());
        std::ranges::sort(runs, {}, &KeptRun::to);
    }
    const Vocabulary& vocabulary = engine_.model().vocabulary();
    PlanOptions again{.seam = repairs ? options.seam : 0, .repair_control_tokens = repairs};
    std::vector<Position> outputs;
    for (int32_t i = std::max(0, static_cast<int32_t>(wanted.size()) - n_outputs); i < std::ssize(wanted);
         ++i) {
        outputs.emplace_back(i);
    }
    const auto plan_again = [&] {
        EditPlan plan = plan_edit(
            wanted, n_cached + static_cast<int32_t>(blocks.cells.size()), runs,
            [&vocabulary](TokenId token) { return vocabulary.is_control(token); }, again);
        pie::encode_again(plan, outputs);
        if (repairs) {
            recall_blocks(plan, n_cached, blocks.cells);
            recall(plan, cells.recallable(plan, wanted, static_cast<int32_t>(wanted.size()) - n_outputs));
        }
        return plan;
    };
    EditPlan plan = plan_again();
    const int32_t affordable = options.milliseconds > 0
                                   ? engine_.batch_cost().tokens_within(options.milliseconds)
                                   : std::numeric_limits<int32_t>::max();
    while (again.seam / 2 >= seam_min && std::ssize(plan.encode) > affordable) {
        again.seam /= 2;
        again.line /= 2;
        plan = plan_again();
    }
    if (options.method == ReuseMethod::pie || repairs) {
        pie::encode_again(plan, worn_positions(cells, plan));
        if (!due_.empty()) {
            pie::encode_again(plan, stale_of(kept_at(plan, due_), cells.stale_in(plan, wanted)));
        }
    }
    if (repairs && options.repair > 0 && !is_start_of(wanted)) {
        const auto n_planned = static_cast<int32_t>(plan.encode.size());
        const std::vector<float> attention = carry_over(plan, cells.attention(), wanted.size());
        const std::vector<Position> outdated = cells.outdated_in(plan, wanted);
        pie::encode_again(plan,
                          options.policy({.cached = cached,
                                          .wanted = wanted,
                                          .plan = plan,
                                          .attention = attention,
                                          .outdated = outdated,
                                          .budget = std::clamp(affordable - n_planned, 0, options.repair)}));
    }
    return plan;
}

LiveSequence::Job LiveSequence::job_of(const ReuseOptions& options, std::span<const TokenId> wanted,
                                       int32_t n_outputs) {
    return {.wanted = wanted,
            .method = options.method,
            .n_outputs = n_outputs,
            .keeps_pieces = options.method == ReuseMethod::pie || options.method == ReuseMethod::pie_seam,
            .piece_milliseconds = options.piece_milliseconds,
            .piece_tokens = options.piece_tokens,
            .until = options.until};
}

Result<UpdateReport> LiveSequence::update(std::span<const TokenId> wanted, const ReuseOptions& options,
                                          const UpdateProgress& progress, std::optional<TokenId> ahead) {
    PIE_CHECK(!wanted.empty(), "a prompt has at least one token");
    const auto start = std::chrono::steady_clock::now();
    UpdateReport report{.tokens_context = static_cast<int32_t>(wanted.size())};
    const bool full = options.method == ReuseMethod::full;
    const bool unchanged = !logits_.empty() && std::ranges::equal(wanted, tokens());
    if ((unchanged && !full) || (options.method == ReuseMethod::reuse && n_tokens() > 0)) {
        report.tokens_kept = n_tokens();
        return report;
    }
    int32_t n_borrowing = 0; // encoded around what was borrowed
    if (!full) {
        if (n_tokens() == 0) {
            adopt(wanted);
        }
        if (options.method == ReuseMethod::pie || options.method == ReuseMethod::pie_seam) {
            PIE_ASSIGN(n_borrowing, borrow(wanted, options));
        }
    }
    const auto report_progress = [&](int32_t done, int32_t total) {
        if (progress) {
            progress(n_borrowing + done, n_borrowing + total);
        }
    };
    EditPlan edit;
    if (ahead && std::ssize(wanted) < n_tokens_max()) {
        std::vector<TokenId> sequence(wanted.begin(), wanted.end());
        sequence.push_back(*ahead);
        edit = plan(sequence, options, 2);
        PIE_TRY(run(edit, job_of(options, sequence, 2), report_progress));
        keep_ahead();
        report.tokens_ahead = 1;
    } else {
        edit = plan(wanted, options);
        PIE_TRY(run(edit, job_of(options, wanted), report_progress));
    }
    report.tokens_kept = edit.tokens_kept + static_cast<int32_t>(edit.recall.size()) - n_borrowing;
    due_.clear();
    report.tokens_moved = edit.tokens_moved;
    report.tokens_encoded = report.tokens_context - report.tokens_kept;
    report.milliseconds = milliseconds_since(start);
    return report;
}

Result<void> LiveSequence::run(const EditPlan& plan, const Job& job, const UpdateProgress& progress) {
    ahead_.reset();
    KvCells& cells = cache_.cells();
    if (!cells.can_begin(plan)) {
        drop_borrowed();
        return fail(ErrorCode::too_large,
                    fmt::format("the prompt has {} tokens, the context holds {}; use a larger "
                                "context (-c)",
                                job.wanted.size(), n_tokens_max()));
    }
    cells.begin(plan, job.wanted);
    if (job.method == ReuseMethod::cfe) {
        cells.leave_keys();
    }
    if (auto encoded = encode(plan.encode, job, progress); !encoded) {
        give_up(job);
        return encoded;
    }
    cells.commit();
    n_borrowed_ = 0;
    ++changes_;
#ifdef PIE_DEV
    cells.check_invariant();
#endif
    return {};
}

// Of a sequence that is cut the logits are not known.
void LiveSequence::give_up(const Job& job) {
    KvCells& cells = cache_.cells();
    if (!job.keeps_pieces || cells.n_placed() == 0) {
        cells.rollback();
        drop_borrowed();
        return;
    }
    due_ = cells.cut();
    logits_.clear();
    n_borrowed_ = 0;
    ++changes_;
}

// Of a batch that may be rounded otherwise than a full recompute's, until it is healed, where that saves
// time.
Products LiveSequence::products_for(size_t n_tokens) const {
    return std::cmp_less(n_tokens, engine_.n_invariant()) ? Products::fastest : Products::batch_invariant;
}

// Of so many tokens that are left to encode. What would be left behind the piece is part of it, where that is
// too little for a batch of its own.
size_t LiveSequence::next_piece(size_t n_left, const Job& job) const {
    using Milliseconds = std::chrono::duration<double, std::milli>;
    const auto n_batch = static_cast<size_t>(engine_.n_batch());
    if (job.piece_milliseconds <= 0) {
        return std::min(n_left, n_batch);
    }
    const double left = job.until ? Milliseconds(*job.until - std::chrono::steady_clock::now()).count() : 0.0;
    const bool is_limited = left > 0 && left < job.piece_milliseconds;
    const auto n = static_cast<size_t>(
        is_limited ? piece_size_.within(left) : piece_size_.about(job.piece_milliseconds, job.piece_tokens));
    const bool is_nearly_all = n_left < n + static_cast<size_t>(piece_size_.least());
    return std::min(is_nearly_all ? n_left : n, n_batch);
}

// Leaves the logits of the last `n_outputs` tokens, one row behind the other.
Result<void> LiveSequence::encode(std::span<const Position> positions, const Job& job,
                                  const UpdateProgress& progress) {
    std::vector<float> rows; // a cancelled update leaves the old ones
    for (size_t done = 0; done < positions.size();) {
        const auto piece = positions.subspan(done, next_piece(positions.size() - done, job));
        PIE_TRY(encode_piece(piece, job, rows));
        done += piece.size();
        if (progress) {
            progress(static_cast<int32_t>(done), static_cast<int32_t>(positions.size()));
        }
    }
    const size_t n_vocab = static_cast<size_t>(engine_.model().vocabulary().size());
    PIE_CHECK(rows.empty() || rows.size() == static_cast<size_t>(job.n_outputs) * n_vocab,
              "each output has its row of logits");
    if (!rows.empty()) {
        logits_ = std::move(rows);
    }
    return {};
}

// Adds the rows of outputs among its tokens to `rows`.
Result<void> LiveSequence::encode_piece(std::span<const Position> piece, const Job& job,
                                        std::vector<float>& rows) {
    const auto start = std::chrono::steady_clock::now();
    const auto outputs_begin = Position(static_cast<int32_t>(job.wanted.size()) - job.n_outputs);
    const std::vector<TokenId> tokens = tokens_at(job.wanted, piece);
    const Products products =
        job.method == ReuseMethod::full ? Products::batch_invariant : products_for(piece.size());
    const std::vector<CellIndex> cells = cache_.cells().place(piece, rounding_of(products));
    std::vector<int32_t> outputs;
    for (int32_t i = 0; i < std::ssize(piece); ++i) {
        if (piece[static_cast<size_t>(i)] >= outputs_begin) {
            outputs.push_back(i);
        }
    }
    const bool is_sized = job.piece_milliseconds > 0;
    const auto logits = engine_.compute(cache_, {.tokens = tokens,
                                                 .positions = piece,
                                                 .cells = cells,
                                                 .outputs = outputs,
                                                 .products = products,
                                                 .can_be_cancelled = !is_sized || !piece_size_.must_end()});
    const auto n_tokens = static_cast<int32_t>(piece.size());
    if (logits) {
        rows.insert(rows.end(), logits->begin(), logits->end());
        if (is_sized) {
            piece_size_.note_whole(n_tokens, milliseconds_since(start));
        }
        return {};
    }
    if (is_sized && logits.error().code == ErrorCode::cancelled) {
        piece_size_.note_cut(n_tokens);
    }
    return tl::unexpected<Error>(logits.error());
}

// Takes the last token, encoded with its logits behind those of the one before, out of the sequence again.
void LiveSequence::keep_ahead() {
    const int32_t n = n_tokens() - 1;
    PIE_CHECK(std::ssize(logits_) == 2 * engine_.model().vocabulary().size(),
              "a token ahead has a row of logits behind that of the last token");
    const auto middle = logits_.begin() + std::ssize(logits_) / 2;
    const KvCells& cells = cache_.cells();
    const bool is_identical = cells.is_identical(Position(n));
    ahead_ = Ahead{.token = tokens().back(),
                   .cell = cells.cell_at(Position(n)),
                   .rounding = is_identical ? Rounding::as_full : Rounding::otherwise,
                   .logits = {middle, logits_.end()}};
    logits_.erase(middle, logits_.end());
    cache_.cells().truncate(n);
}

std::span<const float> LiveSequence::take_ahead() {
    const CellIndex cell = cache_.cells().append(ahead_->token, ahead_->rounding);
    cache_.copy_rows(cache_, std::span(&ahead_->cell, 1), std::span(&cell, 1));
    logits_ = std::move(ahead_->logits);
    ahead_.reset();
    return logits_;
}

Result<std::span<const float>> LiveSequence::extend(std::span<const TokenId> tokens, Observe observe) {
    PIE_CHECK(branch_of_.empty(), "a sequence goes on when its branches are dropped");
    if (ahead_ && tokens.size() == 1 && tokens.front() == ahead_->token) {
        return take_ahead();
    }
    std::vector<Position> positions;
    for (int32_t i = 0; i < static_cast<int32_t>(tokens.size()); ++i) {
        positions.emplace_back(n_tokens() + i);
    }
    PIE_ASSIGN(const auto logits,
               append({.tokens = tokens, .positions = positions, .cells = {}, .outputs = {}}, observe));
    const size_t n_vocab = logits.size() / tokens.size();
    logits_.assign(logits.end() - static_cast<std::ptrdiff_t>(n_vocab), logits.end());
    return logits;
}

Result<std::span<const float>> LiveSequence::extend_branches(std::span<const BranchToken> tokens,
                                                             Observe observe) {
    const int32_t begin = n_tokens() - static_cast<int32_t>(branch_of_.size());
    const size_t n_before = branch_of_.size();
    std::vector<TokenId> ids;
    std::vector<Position> positions;
    std::vector<int32_t> of_tokens;
    for (const BranchToken& token : tokens) {
        ids.push_back(token.token);
        positions.emplace_back(begin + static_cast<int32_t>(std::ranges::count(branch_of_, token.branch)));
        of_tokens.push_back(token.branch);
        branch_of_.push_back(token.branch);
    }
    auto logits = append({.tokens = ids,
                          .positions = positions,
                          .cells = {},
                          .outputs = {},
                          .branches = Branches{Position(begin), branch_of_, of_tokens}},
                         observe);
    if (!logits) {
        branch_of_.resize(n_before);
    }
    return logits;
}

bool LiveSequence::is_start_of(std::span<const TokenId> wanted) const {
    return std::ranges::mismatch(tokens(), wanted).in1 == tokens().end();
}

Result<std::span<const float>> LiveSequence::append(Batch batch, Observe observe) {
    ahead_.reset();
    const int32_t before = n_tokens();
    const auto n = static_cast<int32_t>(batch.tokens.size());
    PIE_CHECK(n > 0 && n <= engine_.n_batch(), "one batch is appended at a time");
    if (before + n > n_tokens_max()) {
        return fail(ErrorCode::too_large, fmt::format("the context of {} tokens is full", n_tokens_max()));
    }
    batch.products = products_for(batch.tokens.size());
    std::vector<CellIndex> cells;
    std::vector<int32_t> outputs;
    for (int32_t i = 0; i < n; ++i) {
        cells.push_back(
            cache_.cells().append(batch.tokens[static_cast<size_t>(i)], rounding_of(batch.products)));
        outputs.push_back(i);
    }
    batch.cells = cells;
    batch.outputs = outputs;
    batch.observed = observe == Observe::yes ? observed_ : LayerSet();
    auto logits = engine_.compute(cache_, batch);
    if (!logits) {
        cache_.cells().truncate(before, Dropped::lost);
        return logits;
    }
    record_attention();
    return logits;
}

void LiveSequence::record_attention() {
    const std::span<const float> observed = engine_.attention();
    if (observed.empty()) {
        return;
    }
    const KvCells& cells = cache_.cells();
    const std::span<float> attention = cache_.cells().attention();
    for (int32_t i = 0; i < n_tokens(); ++i) {
        attention[static_cast<size_t>(i)] += observed[static_cast<size_t>(cells.cell_at(Position(i)).value)];
    }
}

void LiveSequence::fade_attention() {
    constexpr float kept = 0.5F;
    for (float& mass : cache_.cells().attention()) {
        mass *= kept;
    }
}

EditPlan LiveSequence::keeping_all() const {
    EditPlan plan;
    plan.keep = {{.from = 0, .to = 0, .length = n_tokens()}};
    plan.tokens_kept = n_tokens();
    return plan;
}

Result<int32_t> LiveSequence::encode_again(std::span<const Position> positions, ReuseMethod method) {
    if (positions.empty()) {
        return 0;
    }
    const std::vector<TokenId> wanted(tokens().begin(), tokens().end());
    EditPlan plan = keeping_all();
    pie::encode_again(plan, positions);
    PIE_TRY(run(plan, {.wanted = wanted, .method = method}));
    return static_cast<int32_t>(positions.size());
}

Result<int32_t> LiveSequence::heal(int32_t n_tokens_max) {
    const KvCells& cells = cache_.cells();
    const auto n_max = static_cast<size_t>(std::min(n_tokens_max, cells.n_free()));
    std::vector<Position> positions = rounded_positions(cells);
    const std::vector<Position> stale = cells.stale_in(keeping_all(), tokens());
    // What is stale goes first, together with a few that are not: else it would have to be healed again once
    // they are.
    if (!stale.empty() && positions.size() > n_max / 2) {
        positions.clear();
    }
    positions.insert(positions.end(), stale.begin(), stale.end());
    return encode_again(std::span(positions).first(std::min(positions.size(), n_max)), ReuseMethod::full);
}

std::vector<Position> LiveSequence::worth_repairing(int32_t n_tokens_max) const {
    const EditPlan plan = keeping_all();
    const std::vector<Position> outdated = cache_.cells().outdated_in(plan, tokens());
    return repair_by_attention({.cached = tokens(),
                                .wanted = tokens(),
                                .plan = plan,
                                .attention = cache_.cells().attention(),
                                .outdated = outdated,
                                .budget = n_tokens_max});
}

Result<int32_t> LiveSequence::repair(std::span<const Position> positions) {
    const KvCells& cells = cache_.cells();
    std::vector<Position> outdated;
    std::ranges::set_intersection(cells.outdated_in(keeping_all(), tokens()), positions,
                                  std::back_inserter(outdated));
    outdated.resize(std::min(outdated.size(), static_cast<size_t>(cells.n_free())));
    return encode_again(outdated, ReuseMethod::pie);
}

void LiveSequence::clear() {
    rewind(0, {});
    cache_.cells().forget_dropped();
    cache_.give_back();
    ++changes_;
}

void LiveSequence::rewind(int32_t n_tokens, std::vector<float> logits) {
    // A branch's tokens stand behind those of others.
    cache_.cells().truncate(n_tokens, branch_of_.empty() ? Dropped::kept : Dropped::lost);
    logits_ = std::move(logits);
    ahead_.reset();
    branch_of_.clear();
    std::erase_if(due_, [&](Position position) { return position >= Position(n_tokens); });
}

} // namespace pie
