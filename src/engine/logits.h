#pragma once

// What logits say: the distance between the distributions of two vectors, and what one of them predicts.
//
// Thread rule: pure functions.

#include <pie/types.h>

#include <span>

namespace pie {

// KL(P || Q) in nats of the distributions that two logit vectors of equal length stand for. Never negative.
double kl_divergence(std::span<const float> logits_p, std::span<const float> logits_q);

// Minus the log-probability of `token`, in nats.
double log_loss(std::span<const float> logits, TokenId token);

// The token with the largest logit; of several such the first.
TokenId likeliest(std::span<const float> logits);

} // namespace pie
