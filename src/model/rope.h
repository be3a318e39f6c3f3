#pragma once

// Rotary position embedding of one model, as ggml's rope operator takes it. A key rotated for position p is
// turned, pair by pair, by the angle p * frequency(pair); all variants here (linear scaling, YaRN, llama3
// frequency factors) change the frequencies but keep the angle linear in p. So a cached key moves from p to
// p + d by one more turn of d * frequency(pair), and YaRN's magnitude factor, applied when the key was made,
// must not be applied again (PIE, arXiv 2407.03157, section 3; ggml's rope_yarn).

#include <cstdint>
#include <vector>

namespace pie {

enum class RopeLayout {
    interleaved, // pairs are neighbours (2j, 2j+1): llama, granite
    neox,        // pairs are half the rotated width apart (j, j + n_rot/2): qwen, starcoder2
};

struct RopeParams {
    RopeLayout layout = RopeLayout::neox;
    int32_t head_dim = 0; // elements of one key head
    int32_t n_rot = 0;    // rotated elements at the front of each head, even, <= head_dim
    float freq_base = 10000.0F;
    float freq_scale = 1.0F; // linear scaling: 1 / factor
    float ext_factor = 0.0F; // YaRN's mix; 0 switches YaRN off
    float attn_factor = 1.0F;
    float beta_fast = 32.0F;
    float beta_slow = 1.0F;
    int32_t n_ctx_orig = 0;
    std::vector<float> freq_factors = {}; // n_rot / 2 divisors of the frequencies; empty: none
};

// Radians by which pair j turns per position, n_rot / 2 values, in double precision.
std::vector<double> rope_frequencies(const RopeParams& params);

// What ggml's operator multiplies a key by on top of attn_factor: YaRN's magnitude, 1 without YaRN.
float rope_yarn_magnitude(const RopeParams& params);

} // namespace pie
