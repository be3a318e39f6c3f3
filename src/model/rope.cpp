#include "model/rope.h"

#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pie {

std::vector<double> rope_frequencies(const RopeParams& params) {
    const auto n_pairs = static_cast<size_t>(params.n_rot) / 2;
    const bool is_yarn = params.ext_factor != 0.0F;
    float ramp[2] = {0, 0}; // pairs where YaRN's ramp begins and ends
    if (is_yarn) {
        ggml_rope_yarn_corr_dims(params.n_rot, params.n_ctx_orig, params.freq_base, params.beta_fast,
                                 params.beta_slow, ramp);
    }
    std::vector<double> frequencies(n_pairs);
    for (size_t j = 0; j < n_pairs; ++j) {
        double extrapolated = std::pow(static_cast<double>(params.freq_base),
                                       -2.0 * static_cast<double>(j) / static_cast<double>(params.n_rot));
        if (!params.freq_factors.empty()) {
            extrapolated /= static_cast<double>(params.freq_factors[j]);
        }
        double frequency = extrapolated * static_cast<double>(params.freq_scale);
        if (is_yarn) {
            // Fast pairs keep their frequency, slow ones are interpolated, the ramp lies between.
            const double span = std::max(0.001, static_cast<double>(ramp[1] - ramp[0]));
            const double along = (static_cast<double>(j) - static_cast<double>(ramp[0])) / span;
            const double mix = (1.0 - std::clamp(along, 0.0, 1.0)) * static_cast<double>(params.ext_factor);
            frequency = frequency * (1.0 - mix) + extrapolated * mix;
        }
        frequencies[j] = frequency;
    }
    return frequencies;
}

float rope_yarn_magnitude(const RopeParams& params) {
    return params.ext_factor == 0.0F ? 1.0F : 1.0F + 0.1F * std::log(1.0F / params.freq_scale);
}

} // namespace pie
