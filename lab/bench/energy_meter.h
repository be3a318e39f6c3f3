#pragma once

// What the processor's packages have used, where the kernel tells (powercap, RAPL). That is the whole
// package: whatever else runs on it counts too. Many virtual machines have no such counters, and many systems
// let only root read them.
//
// Thread rule: one thread at a time.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace pie {

class EnergyMeter {
  public:
    explicit EnergyMeter(const std::filesystem::path& folder = "/sys/class/powercap");

    // From now on until joules().
    void start();
    // Since start(); none where nobody tells.
    std::optional<double> joules() const;

  private:
    struct Package {
        std::filesystem::path counter;
        uint64_t range_uj = 0; // behind which it begins at 0 again
        std::optional<uint64_t> start_uj = {};
    };

    std::vector<Package> packages_;
};

} // namespace pie
