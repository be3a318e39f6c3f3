#pragma once

// What a model loses when it is made into another one with the same vocabulary, such as by requantising: both
// read the same source files, token by token, and at some lines both write the next one.
//
// Thread rule: the model thread alone.

#include "base/progress.h"
#include "engine/engine.h"
#include "eval/source_tree.h"

#include <pie/result.h>

#include <cstdint>
#include <span>

namespace pie {

struct LossOptions {
    int32_t n_tokens_max = 2048; // of a file, from its start; at most what the model was trained for
    int32_t n_lines = 18;        // to write in a file, spread over it
    int32_t n_line_tokens = 48;  // most tokens of a line
};

// Sums, so that what was measured before an interruption counts.
struct ModelLoss {
    int32_t n_tokens = 0; // whose next token both predicted
    double kl_sum = 0;    // KL(original || other) in nats
    int32_t n_same_top1 = 0;
    int32_t n_lines = 0;
    int32_t n_original_lines = 0; // that the original wrote as the file has them
    int32_t n_other_lines = 0;
    int32_t n_same_lines = 0; // that both wrote alike

    double kl() const { return kl_sum / n_tokens; }
    double top1_agreement() const { return static_cast<double>(n_same_top1) / n_tokens; }
};

// Adds to `loss`. Polls interrupted(). Errors: cancelled, too_large (no
// memory for the caches), internal; `loss` then holds what came before.
Result<void> measure_loss(Engine& original, Engine& other, std::span<const SourceFile> files,
                          const LossOptions& options, ModelLoss& loss, Progress& progress);

} // namespace pie
