#include "cache/diff.h"

#include "base/check.h"
#include "cache/moved_blocks.h"
#include "cache/pairing.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace pie {
namespace {

std::vector<int32_t> values_of(std::span<const TokenId> tokens) {
    std::vector<int32_t> values(tokens.size());
    std::ranges::transform(tokens, values.begin(), &TokenId::value);
    return values;
}

// The runs between the common ends.
std::vector<KeptRun> middle_runs(std::span<const TokenId> cached, std::span<const TokenId> wanted,
                                 const DiffOptions& options) {
    const std::vector<int32_t> cached_values = values_of(cached);
    const std::vector<int32_t> wanted_values = values_of(wanted);
    Pairing pairing(cached_values, wanted_values, Pairing::Begin::edit_script);
    pair_moved_blocks(pairing, options.moved_run_min);
    // Not before: short runs give way to blocks, and what is left of longer ones may be short.
    pairing.drop_runs_below(options.kept_run_min);
    pairing.grow_runs();
    return pairing.runs();
}

} // namespace

std::vector<KeptRun> diff_tokens(std::span<const TokenId> cached, std::span<const TokenId> wanted,
                                 const DiffOptions& options) {
    constexpr size_t n_max = std::numeric_limits<int32_t>::max() / 2;
    PIE_CHECK(cached.size() <= n_max && wanted.size() <= n_max, "a sequence longer than positions can count");

    const size_t n_common = std::min(cached.size(), wanted.size());
    const auto head = static_cast<size_t>(
        std::mismatch(cached.begin(), cached.begin() + n_common, wanted.begin()).first - cached.begin());
    const auto tail = static_cast<size_t>(
        std::mismatch(cached.rbegin(), cached.rbegin() + (n_common - head), wanted.rbegin()).first -
        cached.rbegin());

    std::vector<KeptRun> runs;
    const auto head_length = static_cast<int32_t>(head);
    if (head > 0) {
        runs.push_back({.from = 0, .to = 0, .length = head_length});
    }
    const auto cached_middle = cached.subspan(head, cached.size() - head - tail);
    const auto wanted_middle = wanted.subspan(head, wanted.size() - head - tail);
    for (const KeptRun& run : middle_runs(cached_middle, wanted_middle, options)) {
        runs.push_back({.from = run.from + head_length, .to = run.to + head_length, .length = run.length});
    }
    if (tail > 0) {
        runs.push_back({.from = static_cast<int32_t>(cached.size() - tail),
                        .to = static_cast<int32_t>(wanted.size() - tail),
                        .length = static_cast<int32_t>(tail)});
    }
    return runs;
}

std::vector<KeptRun> common_blocks(std::span<const TokenId> cached, std::span<const TokenId> wanted,
                                   int32_t length_min) {
    const std::vector<int32_t> cached_values = values_of(cached);
    const std::vector<int32_t> wanted_values = values_of(wanted);
    Pairing pairing(cached_values, wanted_values, Pairing::Begin::nothing);
    pair_moved_blocks(pairing, length_min);
    return pairing.runs();
}

} // namespace pie
