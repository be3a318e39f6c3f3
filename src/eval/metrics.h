#pragma once

// How far a way of reusing the cache is from full recompute, and how well it predicts the text that was
// really written. Full recompute is always the reference, P.
//
// Thread rule: pure functions.

#include <pie/types.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace pie {

// KL(P || Q) in nats of the distributions that two logit vectors of equal length stand for. Never negative.
double kl_divergence(std::span<const float> logits_p, std::span<const float> logits_q);

// Minus the log-probability of `token`, in nats.
double log_loss(std::span<const float> logits, TokenId token);

// The token with the largest logit; of several such the first.
TokenId likeliest(std::span<const float> logits);

// Share of places at which two token sequences hold the same token; the longer one sets the number of places,
// and two empty ones agree.
double agreement(std::span<const TokenId> a, std::span<const TokenId> b);

// Levenshtein's: the fewest bytes to insert, delete or replace that turn one text into the other.
size_t edit_distance(std::string_view a, std::string_view b);

} // namespace pie
