#include "bench/paired_batches.h"

#include "base/interrupt.h"
#include "base/quantile.h"
#include "bench/plain_batch.h"

#include <algorithm>

namespace pie {
namespace {

constexpr int32_t large_batch = 64;

double tokens_per_s(int32_t n_tokens, const std::vector<double>& milliseconds) {
    return 1000.0 * n_tokens / median(milliseconds);
}

// Of each size. Threads of an engine look for work for some time after a batch, so the engine goes with this
// call: they would take that time from the other model.
Result<std::vector<double>> measure_round(const LoadedModel& model, const PairedBatchOptions& options) {
    const int32_t largest = *std::ranges::max_element(options.sizes);
    PIE_ASSIGN(const auto batch, PlainBatch::create(model, options.n_threads, options.n_before + largest));
    PIE_TRY(batch->milliseconds(options.n_before, 1)); // the first one pays for pages and graphs
    std::vector<double> medians;
    for (const int32_t n_tokens : options.sizes) {
        std::vector<double> times;
        for (int32_t i = 0; i < (n_tokens > large_batch ? 1 : options.n_repetitions); ++i) {
            if (interrupted()) {
                return fail_interrupted("what was measured so far counts");
            }
            PIE_ASSIGN(const double taken_ms, batch->milliseconds(options.n_before, n_tokens));
            times.push_back(taken_ms);
        }
        medians.push_back(median(std::move(times)));
    }
    return medians;
}

} // namespace

double PairedBatch::first_tokens_per_s() const {
    return tokens_per_s(n_tokens, first_ms);
}

double PairedBatch::second_tokens_per_s() const {
    return tokens_per_s(n_tokens, second_ms);
}

Result<void> measure_paired_batches(const LoadedModel& first, const LoadedModel& second,
                                    const PairedBatchOptions& options, std::vector<PairedBatch>& batches,
                                    Progress& progress) {
    batches.clear();
    for (const int32_t n_tokens : options.sizes) {
        batches.push_back({.n_tokens = n_tokens, .first_ms = {}, .second_ms = {}});
    }
    progress.start("timing both in turns", ProgressUnit::items, static_cast<uint64_t>(options.n_rounds));
    for (int32_t round = 0; round < options.n_rounds; ++round) {
        PIE_ASSIGN(const std::vector<double> of_first, measure_round(first, options));
        PIE_ASSIGN(const std::vector<double> of_second, measure_round(second, options));
        for (size_t i = 0; i < batches.size(); ++i) {
            batches[i].first_ms.push_back(of_first[i]);
            batches[i].second_ms.push_back(of_second[i]);
        }
        progress.update(static_cast<uint64_t>(round) + 1);
    }
    progress.finish();
    return {};
}

} // namespace pie
