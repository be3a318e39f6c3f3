#pragma once

// Models of the store that were made on this machine (model/requantize.h): NAME-TYPE lies beside NAME, and is
// found by that name.
//
// Thread rule: pure functions of the folder.

#include "model/requantize.h"
#include "model/store.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct OptimizedModel {
    std::string source; // a name of the catalogue, or of a file without its extension
    QuantType type;

    std::string name() const { return source + "-" + std::string(type.name); }
};

// What a name says; empty where it does not end with a type.
std::optional<OptimizedModel> parse_optimized(std::string_view name);

std::filesystem::path path_in_store(const OptimizedModel& model, const StoreSettings& settings);

// Those that are here, by name.
std::vector<OptimizedModel> optimized_models(const StoreSettings& settings);

} // namespace pie
