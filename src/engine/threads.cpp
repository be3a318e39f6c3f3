#include "engine/threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <thread>

namespace pie {

int32_t physical_core_count() {
    // Each line of thread_siblings names the hardware threads of one core (Linux, Documentation/ABI
    // sysfs-devices).
    std::set<std::string> cores;
    for (int cpu = 0;; ++cpu) {
        std::ifstream file(fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings", cpu));
        std::string siblings;
        if (!std::getline(file, siblings)) {
            break;
        }
        cores.insert(siblings);
    }
    const auto count = cores.empty() ? std::thread::hardware_concurrency() : cores.size();
    return std::max(1, static_cast<int32_t>(count));
}

} // namespace pie
