#include "base/test_fixtures.h"
#include "bench/energy_meter.h"

#include <doctest/doctest.h>

#include <fstream>

namespace pie {
namespace {

struct Powercap {
    ScratchFolder scratch;

    void write(const std::string& zone, const std::string& file, const std::string& text) const {
        std::filesystem::create_directories(scratch.path / zone);
        std::ofstream(scratch.path / zone / file) << text << "\n";
    }
    void add_zone(const std::string& zone, const std::string& name, uint64_t energy_uj) const {
        write(zone, "name", name);
        write(zone, "energy_uj", std::to_string(energy_uj));
        write(zone, "max_energy_range_uj", "262143328850");
    }
};

} // namespace

TEST_CASE("joules of all packages, of each of them once") {
    const Powercap powercap;
    powercap.add_zone("intel-rapl:0", "package-0", 1'000'000);
    powercap.add_zone("intel-rapl:0:0", "core", 500'000);
    powercap.add_zone("intel-rapl:1", "package-1", 0);
    powercap.add_zone("intel-rapl:2", "psys", 7);
    powercap.add_zone("intel-rapl-mmio:0", "package-0", 1'000'000);
    EnergyMeter meter(powercap.scratch.path);
    CHECK_FALSE(meter.joules()); // not started
    meter.start();
    CHECK(*meter.joules() == 0);
    powercap.write("intel-rapl:0", "energy_uj", "3500000");
    powercap.write("intel-rapl:0:0", "energy_uj", "900000");
    powercap.write("intel-rapl:1", "energy_uj", "250000");
    powercap.write("intel-rapl:2", "energy_uj", "99000000");
    powercap.write("intel-rapl-mmio:0", "energy_uj", "3500000");
    CHECK(*meter.joules() == doctest::Approx(2.75));
    meter.start();
    CHECK(*meter.joules() == 0);
}

TEST_CASE("a counter that began at 0 again") {
    const Powercap powercap;
    powercap.add_zone("intel-rapl:0", "package-0", 262'143'000'000);
    EnergyMeter meter(powercap.scratch.path);
    meter.start();
    powercap.write("intel-rapl:0", "energy_uj", "671150");
    CHECK(*meter.joules() == doctest::Approx(1.0)); // 328,850 to the end of its range, and 671,150
}

TEST_CASE("machines that do not tell") {
    const Powercap powercap;
    EnergyMeter nothing(powercap.scratch.path / "none");
    nothing.start();
    CHECK_FALSE(nothing.joules());
    powercap.write("intel-rapl:0", "name", "package-0"); // its counter cannot be read
    EnergyMeter locked(powercap.scratch.path);
    locked.start();
    CHECK_FALSE(locked.joules());
    powercap.add_zone("intel-rapl:0", "package-0", 5);
    EnergyMeter lost(powercap.scratch.path);
    lost.start();
    std::filesystem::remove(powercap.scratch.path / "intel-rapl:0" / "energy_uj");
    CHECK_FALSE(lost.joules());
}

} // namespace pie
