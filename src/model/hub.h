#pragma once

// Models that the user names by their repository on the model hub, with or without a quantisation:
// "user/repo:Q8_0". They are kept in the store under hub/user/repo/, and checked against the checksum that
// the hub gives. Any thread may call.

#include "base/progress.h"
#include "model/store.h"

#include <pie/result.h>

#include <filesystem>
#include <string_view>
#include <vector>

namespace pie {

// What `-hf` was given. Takes the GGUF of that quantisation (Q4_K_M if none is given and there is one, else
// the repository's first) and fetches it if it is not here yet; one that is here is used without asking the
// hub.
Result<std::filesystem::path> resolve_hub(std::string_view spec, const StoreSettings& settings,
                                          Progress& progress);

// The one of a repository's files that resolve_hub takes; `quant` is empty for the default.
Result<HubFile> choose_gguf(const std::vector<HubFile>& files, std::string_view quant);

} // namespace pie
