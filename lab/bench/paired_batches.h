#pragma once

// Times of batches of two models on one machine, taken in turns, so that whatever else the machine does slows
// both alike. Only one of them has its threads running at a time.
//
// Thread rule: the model thread.

#include "base/progress.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstdint>
#include <vector>

namespace pie {

struct PairedBatchOptions {
    std::vector<int32_t> sizes = {256, 8, 1}; // tokens of a batch: prefill, an edit, decoding
    int32_t n_before = 512;                   // tokens in the cache
    int32_t n_threads = 0;                    // 0: physical cores
    int32_t n_rounds = 3;
    int32_t n_repetitions = 5; // of each size, once a round; of those above 64 tokens one is enough
};

struct PairedBatch {
    int32_t n_tokens = 0;
    std::vector<double> first_ms; // one a round: the median of its repetitions
    std::vector<double> second_ms;

    double first_tokens_per_s() const;
    double second_tokens_per_s() const;
};

// Fills `batches`, one a size; where a round was not finished, it counts for neither. Polls interrupted().
// Errors: cancelled; those of PlainBatch.
Result<void> measure_paired_batches(const LoadedModel& first, const LoadedModel& second,
                                    const PairedBatchOptions& options, std::vector<PairedBatch>& batches,
                                    Progress& progress);

} // namespace pie
