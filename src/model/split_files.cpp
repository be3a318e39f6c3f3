#include "model/split_files.h"

#include <llama.h>

#include <array>
#include <climits>

namespace pie {

std::optional<std::filesystem::path> part_beside(const std::filesystem::path& path, int32_t number,
                                                 int32_t n_parts, int32_t wanted) {
    std::array<char, PATH_MAX> prefix{};
    if (llama_split_prefix(prefix.data(), prefix.size(), path.c_str(), number, n_parts) == 0) {
        return std::nullopt;
    }
    std::array<char, PATH_MAX> part{};
    llama_split_path(part.data(), part.size(), prefix.data(), wanted, n_parts);
    return part.data();
}

} // namespace pie
