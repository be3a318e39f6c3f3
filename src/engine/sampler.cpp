#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>

namespace pie {
namespace {

// infill compares each candidate's text with each other's.
constexpr int32_t infill_candidates_max = 1000;
constexpr int32_t penalty_last_n_max = 1 << 20; // libllama sets memory aside for all of them

Result<void> check_range(const char* name, float value, float min, float max) {
    if (value >= min && value <= max) { // false for what is no number
        return {};
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is {}; it must be a number from {} to {}", name, value, min, max));
}

bool penalises(const SamplingOptions& options) {
    return options.penalty_last_n > 0 &&
           (options.repeat_penalty != 1.0F || options.frequency_penalty != 0.0F ||
            options.presence_penalty != 0.0F);
}

Result<void> check_infill(const Vocabulary& vocabulary, const SamplingOptions& options) {
    const auto infill = std::ranges::find(options.order, SamplerStage::infill);
    if (infill == options.order.end()) {
        return {};
    }
    const bool narrowed = std::find(options.order.begin(), infill, SamplerStage::top_k) != infill &&
                          options.top_k > 0 && options.top_k <= infill_candidates_max;
    if (!narrowed) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the infill sampler needs top_k before it, with a k from 1 to {}",
                                infill_candidates_max));
    }
    // libllama ends the program where it would choose such a token and there is none.
    if (llama_vocab_eot(vocabulary.get()) == LLAMA_TOKEN_NULL &&
        llama_vocab_eos(vocabulary.get()) == LLAMA_TOKEN_NULL) {
        return fail(ErrorCode::unsupported,
                    "the infill sampler needs a model with a token that ends a text; leave it out");
    }
    return {};
}

Result<void> check_options(const Vocabulary& vocabulary, const SamplingOptions& options) {
    constexpr float any = std::numeric_limits<float>::max();
    PIE_TRY(check_range("temperature", options.temperature, 0, any));
    PIE_TRY(check_range("top_p", options.top_p, 0, 1));
    PIE_TRY(check_range("min_p", options.min_p, 0, 1));
    PIE_TRY(check_range("typical_p", options.typical_p, 0, 1));
    PIE_TRY(check_range("the repeat penalty", options.repeat_penalty, 0.01F, 100));
    PIE_TRY(check_range("the frequency penalty", options.frequency_penalty, -any, any));
    PIE_TRY(check_range("the presence penalty", options.presence_penalty, -any, any));
    if (options.penalty_last_n < 0 || options.penalty_last_n > penalty_last_n_max) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("penalties look back on {} tokens; 0 to {} are possible",
                                options.penalty_last_n, penalty_last_n_max));
    }
    return check_infill(vocabulary, options);
}

std::vector<LogitBias> biases_of(const Vocabulary& vocabulary, const SamplingOptions& options) {
    std::vector<LogitBias> biases;
    std::ranges::copy_if(options.logit_bias, std::back_inserter(biases), [&](const LogitBias& entry) {
        return vocabulary.contains(entry.token) && entry.bias != 0.0F;
    });
    for (int32_t i = 0; options.ignore_end && i < vocabulary.size(); ++i) {
        if (vocabulary.ends_generation(TokenId(i))) {
            biases.push_back({TokenId(i), -std::numeric_limits<float>::infinity()});
        }
    }
    return biases;
}

llama_sampler* make_penalties(const Vocabulary& vocabulary, const SamplingOptions& options) {
    return llama_sampler_init_penalties(vocabulary.size(), options.penalty_last_n, options.repeat_penalty,
                                        options.frequency_penalty, options.presence_penalty);
}

TokenId likeliest_token(std::span<const float> logits) {
    return TokenId(static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin()));
}

double log_sum_exp(std::span<const float> logits) {
    const float max = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(logit - max);
    }
    return max + std::log(sum);
}

void keep_likeliest(std::vector<TokenProbability>& tokens, size_t n) {
    n = std::min(n, tokens.size());
    std::ranges::partial_sort(tokens, tokens.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>(),
                              &TokenProbability::log_probability);
    tokens.resize(n);
}

} // namespace

Result<Sampler> Sampler::create(const Vocabulary& vocabulary, const SamplingOptions& options,
                                std::span<const TokenId> before) {
    PIE_TRY(check_options(vocabulary, options));
    Sampler sampler;
    sampler.biases_ = biases_of(vocabulary, options);
    const bool greedy = options.temperature == 0.0F;
    const bool has_infill = std::ranges::find(options.order, SamplerStage::infill) != options.order.end();
    const bool has_chain = !greedy || has_infill;
    if (has_chain) {
        llama_sampler_chain_params params = llama_sampler_chain_default_params();
        params.no_perf = true;
        sampler.chain_.reset(llama_sampler_chain_init(params));
    }
    for (const SamplerStage stage : options.order) {
        if (stage == SamplerStage::penalties) {
            if (!penalises(options)) {
                continue;
            }
            const bool is_first = stage == options.order.front();
            if (!has_chain || is_first) {
                sampler.penalties_.reset(make_penalties(vocabulary, options));
                continue;
            }
        }
        if (has_chain && !(greedy && stage == SamplerStage::temperature)) {
            sampler.add_stage(vocabulary, options, stage);
        }
    }
    sampler.draws_ = !greedy;
    if (has_chain) {
        llama_sampler_chain_add(sampler.chain_.get(),
                                greedy ? llama_sampler_init_greedy() : llama_sampler_init_dist(options.seed));
    }
    const size_t n_before = std::min(before.size(), static_cast<size_t>(options.penalty_last_n));
    for (const TokenId token : before.last(n_before)) {
        sampler.accept(token);
    }
    return sampler;
}

void Sampler::add_stage(const Vocabulary& vocabulary, const SamplingOptions& options, SamplerStage stage) {
    llama_sampler* made = nullptr;
    switch (stage) {
    case SamplerStage::penalties:
        made = make_penalties(vocabulary, options);
        break;
    case SamplerStage::top_k:
        made = llama_sampler_init_top_k(options.top_k);
        break;
    case SamplerStage::typical_p:
        made = llama_sampler_init_typical(options.typical_p, 1);
        break;
    case SamplerStage::top_p:
        made = llama_sampler_init_top_p(options.top_p, 1);
        break;
    case SamplerStage::min_p:
        made = llama_sampler_init_min_p(options.min_p, 1);
        break;
    case SamplerStage::temperature:
        made = llama_sampler_init_temp(options.temperature);
        break;
    case SamplerStage::infill:
        made = llama_sampler_init_infill(vocabulary.get());
        break;
    }
    llama_sampler_chain_add(chain_.get(), made);
}

void Sampler::accept(TokenId token) {
    if (penalties_ != nullptr) {
        llama_sampler_accept(penalties_.get(), token.value);
        recent_.push_back(token);
    }
    if (chain_ != nullptr) {
        llama_sampler_accept(chain_.get(), token.value);
    }
}

// Tokens that fell out of the window are in `recent_` too; the sampler leaves their logits alone.
std::span<const float> Sampler::penalise(std::span<const float> logits) {
    penalised_.assign(logits.begin(), logits.end());
    candidates_.clear();
    for (const TokenId token : recent_) {
        candidates_.push_back({token.value, logits[static_cast<size_t>(token.value)], 0.0F});
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(penalties_.get(), &array);
    for (const llama_token_data& candidate : candidates_) {
        penalised_[static_cast<size_t>(candidate.id)] = candidate.logit;
    }
    return penalised_;
}

TokenId Sampler::run_chain(std::span<const float> logits) {
    candidates_.resize(logits.size());
    for (size_t i = 0; i < logits.size(); ++i) {
        candidates_[i] = {static_cast<llama_token>(i), logits[i], 0.0F};
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &array);
    n_left_ = array.size;
    return TokenId(array.data[array.selected].id);
}

TokenId Sampler::sample(std::span<const float> logits) {
    if (biases_.empty()) {
        return choose(logits);
    }
    biased_.assign(logits.begin(), logits.end());
    for (const LogitBias& entry : biases_) {
        biased_[static_cast<size_t>(entry.token.value)] += entry.bias;
    }
    return choose(biased_);
}

TokenId Sampler::choose(std::span<const float> logits) {
    if (penalties_ != nullptr) {
        logits = penalise(logits);
    }
    chosen_ = chain_ == nullptr ? likeliest_token(logits) : run_chain(logits);
    return chosen_;
}

TokenProbabilities Sampler::probabilities(size_t n) const {
    TokenProbabilities result{{chosen_, 0.0F}, {}};
    if (!draws_) {
        result.likeliest.push_back(result.taken);
        return result;
    }
    for (const llama_token_data& candidate : std::span(candidates_).first(n_left_)) {
        const TokenProbability entry{TokenId(candidate.id), std::log(candidate.p)};
        if (entry.token == chosen_) {
            result.taken = entry;
        }
        if (candidate.p > 0.0F) {
            result.likeliest.push_back(entry);
        }
    }
    keep_likeliest(result.likeliest, n);
    return result;
}

TokenProbabilities probabilities(std::span<const float> logits, TokenId taken, size_t n) {
    const double normaliser = log_sum_exp(logits);
    TokenProbabilities result;
    for (size_t i = 0; i < logits.size(); ++i) {
        const TokenId token(static_cast<int32_t>(i));
        result.likeliest.push_back({token, static_cast<float>(logits[i] - normaliser)});
    }
    result.taken = result.likeliest[static_cast<size_t>(taken.value)];
    keep_likeliest(result.likeliest, n);
    return result;
}

} // namespace pie
