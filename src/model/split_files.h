#pragma once

// The files of a split model, which are known by the names that llama-gguf-split gives them.
//
// Thread rule: a pure function.

#include <cstdint>
#include <filesystem>
#include <optional>

namespace pie {

// The part `wanted` of `n_parts`, from 0 on, beside the part `number`, which is `path`. Nothing where the
// name of `path` is not that of such a part.
std::optional<std::filesystem::path> part_beside(const std::filesystem::path& path, int32_t number,
                                                 int32_t n_parts, int32_t wanted);

} // namespace pie
