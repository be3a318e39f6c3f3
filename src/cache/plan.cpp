#include "cache/plan.h"

#include "base/check.h"

#include <algorithm>
#include <utility>

namespace pie {
namespace {

// Walks along the wanted sequence: what a run does not cover was inserted, what a run covers is kept or
// encoded again.
class Planner {
  public:
    Planner(std::span<const TokenId> wanted, const std::function<bool(TokenId)>& is_control,
            const PlanOptions& options)
        : wanted_(wanted), is_control_(is_control), options_(options),
          n_wanted_(static_cast<int32_t>(wanted.size())), seam_(std::min(options.seam, n_wanted_)) {}

    void add_run(const KeptRun& run);
    EditPlan finish();

  private:
    void add_inserted(int32_t to_end);
    bool is_encoded_again(int32_t to) const;
    void keep(const KeptRun& run);

    std::span<const TokenId> wanted_;
    const std::function<bool(TokenId)>& is_control_;
    const PlanOptions& options_;
    int32_t n_wanted_;
    int32_t seam_;
    int32_t next_to_ = 0;   // everything before it is planned
    int32_t next_from_ = 0; // the cached token that continues what stands there; -1 behind an inserted token
    int32_t seam_end_ = 0;
    bool is_edited_ = false;
    EditPlan plan_;
};

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
    return is_edited_ && options_.repair_control_tokens && is_control_(wanted_[static_cast<size_t>(to)]);
}

void Planner::keep(const KeptRun& run) {
    if (run.length == 0) {
        return;
    }
    plan_.keep.push_back(run);
    plan_.tokens_kept += run.length;
    plan_.tokens_moved += run.from != run.to ? run.length : 0;
}

void Planner::add_run(const KeptRun& run) {
    add_inserted(run.to);
    if (run.from != next_from_) {
        is_edited_ = true;
        seam_end_ = run.to + seam_;
    }
    const int32_t to_end = run.to + run.length;
    int32_t kept_begin = run.to;
    for (int32_t to = run.to; to < to_end; ++to) {
        if (is_encoded_again(to)) {
            keep({.from = run.from + kept_begin - run.to, .to = kept_begin, .length = to - kept_begin});
            plan_.encode.emplace_back(to);
            kept_begin = to + 1;
        }
    }
    keep({.from = run.from + kept_begin - run.to, .to = kept_begin, .length = to_end - kept_begin});
    next_to_ = to_end;
    next_from_ = run.from + run.length;
}

EditPlan Planner::finish() {
    add_inserted(n_wanted_);
    return std::move(plan_);
}

} // namespace

EditPlan plan_edit(std::span<const TokenId> wanted, int32_t n_cached, std::span<const KeptRun> runs,
                   const std::function<bool(TokenId)>& is_control, const PlanOptions& options) {
    PIE_CHECK(options.seam >= 0, "a seam cannot be shorter than nothing");
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

} // namespace pie
