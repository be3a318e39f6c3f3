#include "cache/plan.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace pie {
namespace {

constexpr int32_t line_length_max = 32; // tokens from the last control token to the end

// Adds a part of a run to `runs`, as part of the last one where it continues it.
void join(std::vector<KeptRun>& runs, const KeptRun& part) {
    if (!runs.empty() && runs.back().to + runs.back().length == part.to &&
        runs.back().from + runs.back().length == part.from) {
        runs.back().length += part.length;
    } else {
        runs.push_back(part);
    }
}

// Keeps a run but for the positions that are encoded again.
void split(const KeptRun& run, const std::function<bool(int32_t)>& is_encoded_again, EditPlan& plan) {
    const auto part = [&run](int32_t begin, int32_t end) {
        return KeptRun{.from = run.from + begin - run.to, .to = begin, .length = end - begin};
    };
    const auto keep = [&](int32_t begin, int32_t end) {
        if (begin < end) {
            plan.keep.push_back(part(begin, end));
            plan.tokens_kept += end - begin;
            plan.tokens_moved += run.from != run.to ? end - begin : 0;
        }
    };
    const int32_t end = run.to + run.length;
    int32_t kept_begin = run.to;
    for (int32_t to = run.to; to < end; ++to) {
        if (is_encoded_again(to)) {
            keep(kept_begin, to);
            join(plan.again, part(to, to + 1));
            plan.encode.emplace_back(to);
            kept_begin = to + 1;
        }
    }
    keep(kept_begin, end);
}

// Walks along the wanted sequence: what a run does not cover was inserted, what a run covers is kept or
// encoded again.
class Planner {
  public:
    Planner(std::span<const TokenId> wanted, const std::function<bool(TokenId)>& is_control,
            const PlanOptions& options)
        : wanted_(wanted), is_control_(is_control), options_(options),
          n_wanted_(static_cast<int32_t>(wanted.size())), seam_(std::min(options.seam, n_wanted_)),
          last_control_(last_control()) {}

    void add_run(const KeptRun& run);
    EditPlan finish();

  private:
    int32_t last_control() const;
    void add_inserted(int32_t to_end);
    bool is_encoded_again(int32_t to) const;

    std::span<const TokenId> wanted_;
    const std::function<bool(TokenId)>& is_control_;
    const PlanOptions& options_;
    int32_t n_wanted_;
    int32_t seam_;
    int32_t last_control_;  // the end of the sequence where none is near
    int32_t next_to_ = 0;   // everything before it is planned
    int32_t next_from_ = 0; // the cached token that continues what stands there; -1 behind an inserted token
    int32_t seam_end_ = 0;
    bool is_edited_ = false;
    EditPlan plan_;
};

int32_t Planner::last_control() const {
    for (int32_t to = n_wanted_ - 1; to >= std::max(0, n_wanted_ - 1 - line_length_max); --to) {
        if (is_control_(wanted_[static_cast<size_t>(to)])) {
            return to;
        }
    }
    return n_wanted_;
}

void Planner::add_inserted(int32_t to_end) {
    for (; next_to_ < to_end; ++next_to_) {
        plan_.encode.emplace_back(next_to_);
        next_from_ = -1;
    }
}

bool Planner::is_encoded_again(int32_t to) const {
    if (to < seam_end_ || to == n_wanted_ - 1) {
        return true;
    }
    const bool is_on_line = to > last_control_ && to - last_control_ <= options_.line;
    return is_edited_ && options_.repair_control_tokens &&
           (is_on_line || is_control_(wanted_[static_cast<size_t>(to)]));
}

void Planner::add_run(const KeptRun& run) {
    add_inserted(run.to);
    if (run.from != next_from_) {
        is_edited_ = true;
        seam_end_ = run.to + seam_;
    }
    split(
        run, [this](int32_t to) { return is_encoded_again(to); }, plan_);
    next_to_ = run.to + run.length;
    next_from_ = run.from + run.length;
}

EditPlan Planner::finish() {
    add_inserted(n_wanted_);
    return std::move(plan_);
}

} // namespace

EditPlan plan_edit(std::span<const TokenId> wanted, int32_t n_cached, std::span<const KeptRun> runs,
                   const std::function<bool(TokenId)>& is_control, const PlanOptions& options) {
    PIE_CHECK(options.seam >= 0 && options.line >= 0, "nothing can be shorter than nothing");
    Planner planner(wanted, is_control, options);
    int32_t to_min = 0;
    for (const KeptRun& run : runs) {
        PIE_CHECK(run.length > 0 && run.to >= to_min, "runs must ascend and be disjoint");
        PIE_CHECK(run.from >= 0 && run.from + run.length <= n_cached,
                  "a run must lie in the cached sequence");
        to_min = run.to + run.length;
        planner.add_run(run);
    }
    PIE_CHECK(to_min <= std::ssize(wanted), "a run must lie in the wanted sequence");
    return planner.finish();
}

void encode_again(EditPlan& plan, std::span<const Position> positions) {
    EditPlan changed;
    for (const KeptRun& run : plan.keep) {
        split(
            run, [&](int32_t to) { return std::ranges::binary_search(positions, Position(to)); }, changed);
    }
    plan.keep = std::move(changed.keep);
    plan.tokens_kept = changed.tokens_kept;
    plan.tokens_moved = changed.tokens_moved;
    const auto add = [](auto& sorted, const auto& more, auto order) {
        sorted.insert(sorted.end(), more.begin(), more.end());
        std::ranges::sort(sorted, {}, order);
    };
    add(plan.again, changed.again, &KeptRun::to);
    add(plan.encode, changed.encode, &Position::value);
}

void recall(EditPlan& plan, std::span<const RecalledCell> cells) {
    std::vector<Position> positions(cells.size());
    std::ranges::transform(cells, positions.begin(), &RecalledCell::position);
    encode_again(plan, positions);
    std::erase_if(plan.encode,
                  [&](Position position) { return std::ranges::binary_search(positions, position); });
    plan.recall.insert(plan.recall.end(), cells.begin(), cells.end());
    std::ranges::sort(plan.recall, {}, &RecalledCell::position);
}

void recall_blocks(EditPlan& plan, int32_t n_cached, std::span<const CellIndex> cells) {
    const auto is_recalled = [&](const KeptRun& run) { return run.from >= n_cached; };
    for (const KeptRun& run : plan.keep) {
        if (!is_recalled(run)) {
            continue;
        }
        for (int32_t i = 0; i < run.length; ++i) {
            plan.recall.push_back(
                {Position(run.to + i), cells[static_cast<size_t>(run.from - n_cached + i)]});
        }
        plan.tokens_kept -= run.length;
        plan.tokens_moved -= run.length;
    }
    std::erase_if(plan.keep, is_recalled);
    std::erase_if(plan.again, is_recalled);
}

std::vector<float> carry_over(const EditPlan& plan, std::span<const float> cached, size_t n_wanted) {
    std::vector<float> wanted(n_wanted, 0.0F);
    for (const std::vector<KeptRun>* runs : {&plan.keep, &plan.again}) {
        for (const KeptRun& run : *runs) {
            std::copy_n(cached.begin() + run.from, run.length, wanted.begin() + run.to);
        }
    }
    return wanted;
}

} // namespace pie
