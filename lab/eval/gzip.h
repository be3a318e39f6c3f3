#pragma once

// Files that may be compressed with gzip: data sets and committed results are.
//
// Thread rule: pure functions but for the file.

#include <pie/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace pie {

// The file's text, unpacked where it begins as gzip's files do. Errors: not_found, io, corrupt (cut off or
// damaged), too_large (either size beyond the limit).
Result<std::string> read_text_or_gzip(const std::filesystem::path& path, uint64_t size_bytes_max);

} // namespace pie
