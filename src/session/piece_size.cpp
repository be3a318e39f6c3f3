#include "session/piece_size.h"

#include <algorithm>

namespace pie {

PieceSize::PieceSize(int32_t n_min, int32_t n_max)
    : n_min_(n_min), n_max_(n_max), limit_(std::clamp(32, n_min, n_max)) {}

int32_t PieceSize::within(double milliseconds) const {
    if (tokens_a_millisecond_ == 0) {
        return limit_;
    }
    const double tokens = std::min<double>(limit_, tokens_a_millisecond_ * milliseconds);
    return std::max(n_min_, static_cast<int32_t>(tokens));
}

int32_t PieceSize::about(double milliseconds, int32_t n_tokens) const {
    return std::max(within(milliseconds), std::min(n_tokens, limit_));
}

void PieceSize::note_whole(int32_t n_tokens, double milliseconds) {
    must_end_ = false;
    if (n_tokens < n_min_) {
        return; // what is left at an end tells nothing of longer ones
    }
    constexpr double milliseconds_min = 1e-3; // what a clock cannot tell from nothing
    tokens_a_millisecond_ = n_tokens / std::max(milliseconds, milliseconds_min);
    if (n_tokens >= limit_) {
        limit_ = std::min(2 * limit_, n_max_);
    }
}

void PieceSize::note_cut(int32_t n_tokens) {
    must_end_ = n_tokens <= 2 * n_min_;
    limit_ = std::max(std::min(limit_, n_tokens) / 2, n_min_);
}

} // namespace pie
