#include "cache/pairing.h"

#include "base/myers.h"

#include <algorithm>

namespace pie {

Pairing::Pairing(std::span<const int32_t> cached, std::span<const int32_t> wanted, Begin begin)
    : cached_(cached), wanted_(wanted), wanted_of_(cached.size(), unpaired),
      cached_of_(wanted.size(), unpaired) {
    if (begin == Begin::nothing) {
        return;
    }
    for (const Match& match : myers_matches(cached, wanted)) {
        pair({.from = static_cast<int32_t>(match.a_begin),
              .to = static_cast<int32_t>(match.b_begin),
              .length = static_cast<int32_t>(match.length)});
    }
}

void Pairing::pair(const KeptRun& run) {
    const std::span targets(wanted_of_.data() + run.from, static_cast<size_t>(run.length));
    const std::span sources(cached_of_.data() + run.to, static_cast<size_t>(run.length));
    for (int32_t i = 0; i < run.length; ++i) {
        int32_t& to = targets[static_cast<size_t>(i)];
        int32_t& from = sources[static_cast<size_t>(i)];
        if (to != unpaired) {
            cached_of_[static_cast<size_t>(to)] = unpaired;
        }
        if (from != unpaired) {
            wanted_of_[static_cast<size_t>(from)] = unpaired;
        }
        to = run.to + i;
        from = run.from + i;
    }
}

std::vector<KeptRun> Pairing::runs() const {
    std::vector<KeptRun> runs;
    for (int32_t to = 0; to < std::ssize(cached_of_); ++to) {
        const int32_t from = cached_of_[static_cast<size_t>(to)];
        if (from == unpaired) {
            continue;
        }
        if (!runs.empty() && runs.back().to + runs.back().length == to &&
            runs.back().from + runs.back().length == from) {
            ++runs.back().length;
        } else {
            runs.push_back({.from = from, .to = to, .length = 1});
        }
    }
    return runs;
}

void Pairing::drop_runs_below(int32_t length_min) {
    for (const KeptRun& run : runs()) {
        if (run.length < length_min) {
            std::fill_n(wanted_of_.begin() + run.from, run.length, unpaired);
            std::fill_n(cached_of_.begin() + run.to, run.length, unpaired);
        }
    }
}

bool Pairing::is_free_pair(int32_t from, int32_t to) const {
    const auto f = static_cast<size_t>(from);
    const auto t = static_cast<size_t>(to);
    return from >= 0 && to >= 0 && f < cached_.size() && t < wanted_.size() && wanted_of_[f] == unpaired &&
           cached_of_[t] == unpaired && cached_[f] == wanted_[t];
}

void Pairing::grow_runs() {
    for (const KeptRun& run : runs()) {
        for (int32_t i = 1; is_free_pair(run.from - i, run.to - i); ++i) {
            pair({.from = run.from - i, .to = run.to - i, .length = 1});
        }
        for (int32_t i = run.length; is_free_pair(run.from + i, run.to + i); ++i) {
            pair({.from = run.from + i, .to = run.to + i, .length = 1});
        }
    }
}

} // namespace pie
