#pragma once

// How far a way of reusing the cache is from full recompute. Full recompute is always the reference, P.

#include <pie/types.h>

#include <span>

namespace pie {

// KL(P || Q) in nats of the distributions that two logit vectors of equal length stand for. Never negative.
double kl_divergence(std::span<const float> logits_p, std::span<const float> logits_q);

// Share of places at which two token sequences hold the same token; the longer one sets the number of places,
// and two empty ones agree.
double agreement(std::span<const TokenId> a, std::span<const TokenId> b);

} // namespace pie
