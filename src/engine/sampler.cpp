#include "engine/sampler.h"

#include <algorithm>

namespace pie {

Sampler::Sampler(const SamplingOptions& options) : options_(options) {
    if (options_.temperature <= 0.0F) {
        return;
    }
    chain_.reset(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_k(options_.top_k));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_p(options_.top_p, 1));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_min_p(options_.min_p, 1));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_temp(options_.temperature));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_dist(options_.seed));
}

TokenId Sampler::sample(std::span<const float> logits) {
    if (chain_ == nullptr) {
        return TokenId(static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin()));
    }
    candidates_.clear();
    for (size_t i = 0; i < logits.size(); ++i) {
        candidates_.push_back({static_cast<llama_token>(i), logits[i], 0.0F});
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &array);
    return TokenId(array.data[array.selected].id);
}

} // namespace pie
