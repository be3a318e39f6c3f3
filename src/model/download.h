#pragma once

// Files from the model hub, over HTTP. A transfer that stops, for whatever reason, leaves what came in the
// partial file, and the next one goes on behind it. Nothing here checks a checksum: see store.h. Any thread
// may call; transfers into one file must not overlap.

#include "base/progress.h"
#include "model/catalogue.h"
#include "model/fetch.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pie {

struct HubSettings {
    std::string endpoint = "https://huggingface.co"; // HF_ENDPOINT
    std::string token;                               // HF_TOKEN; empty: none
    // A hub that cannot be reached must not keep the next source waiting.
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds retry_pause{1000};
};

// Fetches what is missing of `entry`'s GGUF into `partial`. A transfer that breaks after some bytes is taken
// up again a few times. Polls interrupted().
FetchResult fetch_from_hub(const HubSource& source, const CatalogueEntry& entry,
                           const std::filesystem::path& partial, const HubSettings& settings,
                           Progress& progress);

struct HubFile {
    std::string path; // in the repository
    uint64_t size_bytes = 0;
    std::string sha256; // empty where the hub has none: small text files
};

Result<std::vector<HubFile>> list_hub_files(const std::string& repository, const HubSettings& settings);

} // namespace pie
