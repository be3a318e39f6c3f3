// What a sequence takes over from others instead of encoding it.

#include "session/live_sequence.h"

#include <algorithm>
#include <utility>

namespace pie {

void LiveSequence::adopt(std::span<const TokenId> wanted) {
    constexpr std::ptrdiff_t n_worthwhile = 32; // fewer are as soon encoded
    const LiveSequence* best = nullptr;
    std::ptrdiff_t n_best = n_worthwhile - 1;
    for (LiveSequence* donor : donors_ ? donors_() : std::vector<LiveSequence*>()) {
        const auto exact = donor->tokens().first(static_cast<size_t>(donor->n_exact()));
        const auto n_common = std::ranges::mismatch(exact, wanted).in1 - exact.begin();
        if (donor != this && n_common > n_best) {
            best = donor;
            n_best = n_common;
        }
    }
    if (best == nullptr || std::ssize(wanted) > n_tokens_max()) {
        return;
    }
    const std::vector<CachedToken> lent = best->cache_.cells().cached_tokens();
    copy(*best, std::span(lent).first(static_cast<size_t>(n_best)));
}

// To the end of the sequence. A key that waits to be turned there is copied so, and waits here.
void LiveSequence::copy(const LiveSequence& donor, std::span<const CachedToken> lent) {
    std::vector<CellIndex> from;
    from.reserve(lent.size());
    for (const CachedToken& token : lent) {
        from.push_back(token.cell);
    }
    cache_.copy_rows(donor.cache_, from, cache_.cells().adopt(lent));
}

LiveSequence::Loan LiveSequence::find_loan(std::span<const TokenId> wanted) const {
    constexpr int32_t block_min = 32; // fewer tokens are as soon encoded
    const auto head = std::ranges::mismatch(tokens(), wanted).in1 - tokens().begin();
    const auto own_rest = tokens().subspan(static_cast<size_t>(head));
    const auto rest = wanted.subspan(static_cast<size_t>(head));
    const auto tail = std::mismatch(own_rest.rbegin(), own_rest.rend(), rest.rbegin(), rest.rend()).first -
                      own_rest.rbegin();
    const auto changed = rest.first(rest.size() - static_cast<size_t>(tail));
    Loan best;
    if (std::ssize(changed) < block_min || !donors_) {
        return best;
    }
    for (const LiveSequence* donor : donors_()) {
        if (donor == this) {
            continue;
        }
        const auto exact = donor->tokens().first(static_cast<size_t>(donor->n_exact()));
        Loan loan{.donor = donor, .blocks = common_blocks(exact, changed, block_min)};
        for (KeptRun& block : loan.blocks) {
            block.to += static_cast<int32_t>(head);
            loan.n_tokens += block.length;
        }
        if (loan.n_tokens > best.n_tokens) {
            best = std::move(loan);
        }
    }
    // All that stands behind a block is stale until it is healed; a few tokens are not worth that.
    return 4 * best.n_tokens < std::ssize(changed) ? Loan() : best;
}

// Puts copies of the blocks behind the sequence, from where the next edit takes them as it takes what it
// moves within the sequence. In front of each goes a token that is not wanted there: so the plan sees that
// the block stood behind something else, and gives it a seam.
void LiveSequence::take(const Loan& loan, std::span<const TokenId> wanted) {
    const std::vector<CachedToken> lent = loan.donor->cache_.cells().cached_tokens();
    for (const KeptRun& block : loan.blocks) {
        const TokenId wanted_before = block.to > 0 ? wanted[static_cast<size_t>(block.to) - 1] : TokenId(0);
        const CachedToken unwanted{.token = TokenId(wanted_before == TokenId(0) ? 1 : 0),
                                   .cell = {},
                                   .key_position = Position(n_tokens())};
        cache_.cells().adopt(std::span(&unwanted, 1));
        copy(*loan.donor,
             std::span(lent).subspan(static_cast<size_t>(block.from), static_cast<size_t>(block.length)));
        n_borrowed_ += 1 + block.length;
    }
}

// Where the sequence only grows, it grows to the end of the last block here, and has what was borrowed even
// if the rest is cancelled. Returns how many tokens were encoded.
Result<int32_t> LiveSequence::borrow(std::span<const TokenId> wanted, const ReuseOptions& options) {
    const Loan loan = find_loan(wanted);
    const auto n_blocks = std::ssize(loan.blocks);
    // Room for all of it: an edit that is given up must find the sequence before it.
    if (n_blocks == 0 || n_tokens() + loan.n_tokens + n_blocks + std::ssize(wanted) >= n_tokens_max()) {
        return 0;
    }
    const bool grows = is_start_of(wanted);
    take(loan, wanted);
    if (!grows) {
        return 0;
    }
    const auto part = wanted.first(static_cast<size_t>(loan.blocks.back().to + loan.blocks.back().length));
    const EditPlan edit = plan(part, options);
    PIE_TRY(run(edit, job_of(options, part)));
    due_.clear();
    return static_cast<int32_t>(edit.encode.size());
}

void LiveSequence::drop_borrowed() {
    cache_.cells().truncate(n_tokens() - std::exchange(n_borrowed_, 0), Dropped::lost);
}

} // namespace pie
