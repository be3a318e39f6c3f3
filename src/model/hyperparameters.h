#pragma once

// What of a model's GGUF metadata the graphs and the cache need, for the architectures that this engine runs.
// Key names: the GGUF specification; defaults: as libllama's loader has them. Read before libllama sees the
// file, so that what cannot run is refused with a reason instead of failing inside the loader.

#include "model/metadata.h"
#include "model/rope.h"

#include <pie/result.h>

#include <cstdint>
#include <string>

namespace pie {

enum class NormKind { rms, layer };
enum class FfnKind { swiglu, gelu };

// One row of the table of supported architectures.
struct Architecture {
    const char* name;   // general.architecture
    const char* models; // examples, for messages
    RopeLayout rope;
    NormKind norm;
    FfnKind ffn;
};

struct Hyperparameters {
    const Architecture* architecture = nullptr;
    int32_t n_layer = 0;
    int32_t n_embd = 0;
    int32_t n_head = 0;
    int32_t n_head_kv = 0;
    int32_t head_dim = 0;
    int32_t n_ctx_train = 0;
    int32_t n_expert = 0; // 0: dense feed-forward
    int32_t n_expert_used = 0;
    float norm_eps = 0;
    float attention_scale = 0;    // factor of query times key; 1 / sqrt(head_dim) unless the model says else
    float embedding_scale = 1.0F; // granite's four multipliers; 1 elsewhere
    float residual_scale = 1.0F;
    float logit_scale = 1.0F; // logits are divided by it
    RopeParams rope;          // freq_factors are filled in from the weights by LoadedModel

    int32_t n_embd_kv() const { return n_head_kv * head_dim; } // elements of one token's keys in one layer
};

// Errors: unsupported (with what is supported, and why this is not), corrupt (a key missing or out of range).
Result<Hyperparameters> read_hyperparameters(const Metadata& metadata);

} // namespace pie
