#include "bench/energy_meter.h"

#include <fstream>
#include <string>
#include <system_error>

namespace pie {
namespace {

std::optional<uint64_t> number_in(const std::filesystem::path& path) {
    uint64_t number = 0;
    return std::ifstream(path) >> number ? std::optional(number) : std::nullopt;
}

// A zone that is no part of another: "package-0" and the like. Parts of it have names of their own, and some
// machines tell of a package in two ways; "psys" holds what is outside the packages too.
bool is_package(const std::filesystem::path& zone) {
    std::string name;
    std::ifstream(zone / "name") >> name;
    return zone.filename().string().starts_with("intel-rapl:") && name.starts_with("package");
}

} // namespace

EnergyMeter::EnergyMeter(const std::filesystem::path& folder) {
    std::error_code error;
    for (const auto& zone : std::filesystem::directory_iterator(folder, error)) {
        const auto range_uj = number_in(zone.path() / "max_energy_range_uj");
        const std::filesystem::path counter = zone.path() / "energy_uj";
        if (is_package(zone.path()) && range_uj && number_in(counter)) {
            packages_.push_back({counter, *range_uj});
        }
    }
}

void EnergyMeter::start() {
    for (Package& package : packages_) {
        package.start_uj = number_in(package.counter);
    }
}

std::optional<double> EnergyMeter::joules() const {
    uint64_t sum_uj = 0;
    for (const Package& package : packages_) {
        const auto end_uj = number_in(package.counter);
        if (!package.start_uj || !end_uj) {
            return {};
        }
        sum_uj += *end_uj - *package.start_uj + (*end_uj < *package.start_uj ? package.range_uj : 0);
    }
    return packages_.empty() ? std::nullopt : std::optional(static_cast<double>(sum_uj) / 1e6);
}

} // namespace pie
