#pragma once

// Which cached token serves which wanted one, while a diff is being made: two arrays, each the other's
// inverse, over sequences that outlive them. Owned by one diff and used by its thread.

#include "cache/diff.h"

#include <cstdint>
#include <span>
#include <vector>

namespace pie {

class Pairing {
  public:
    static constexpr int32_t unpaired = -1;

    enum class Begin { nothing, edit_script };

    // Starts with no pairs, or with those of the shortest edit script.
    Pairing(std::span<const int32_t> cached, std::span<const int32_t> wanted, Begin begin);

    std::span<const int32_t> cached() const { return cached_; }
    std::span<const int32_t> wanted() const { return wanted_; }

    // Maximal stretches of pairs that continue each other, in ascending `to`.
    std::vector<KeptRun> runs() const;

    // Pairs a run's tokens; whatever they were paired with becomes free.
    void pair(const KeptRun& run);

    void drop_runs_below(int32_t length_min);

    // Extends every run by the equal free tokens beside it.
    void grow_runs();

  private:
    bool is_free_pair(int32_t from, int32_t to) const;

    std::span<const int32_t> cached_;
    std::span<const int32_t> wanted_;
    std::vector<int32_t> wanted_of_; // per cached token
    std::vector<int32_t> cached_of_; // per wanted token
};

} // namespace pie
