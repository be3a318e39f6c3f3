#include "model/fingerprint.h"

#include "base/files.h"
#include "base/sha256.h"
#include "model/split_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <vector>

namespace pie {
namespace {

constexpr size_t piece_bytes = 4096;
constexpr size_t pieces_per_tensor = 4;

class PieceHash {
  public:
    static Result<PieceHash> open(const std::filesystem::path& path) {
        PieceHash pieces;
        pieces.path_ = path;
        pieces.descriptor_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (pieces.descriptor_.number() < 0) {
            return tl::unexpected<Error>(file_error("read", path, errno));
        }
        return pieces;
    }

    Result<void> add(Sha256& digest, size_t offset, size_t size_bytes) {
        std::array<char, piece_bytes> buffer;
        while (size_bytes > 0) {
            const ssize_t count = ::pread(descriptor_.number(), buffer.data(),
                                          std::min(size_bytes, buffer.size()), static_cast<off_t>(offset));
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (count < 0) {
                return tl::unexpected<Error>(file_error("read", path_, errno));
            }
            if (count == 0) {
                return fail(ErrorCode::corrupt,
                            fmt::format("{} ends before its tensors do; fetch it again", path_.string()));
            }
            digest.update({buffer.data(), static_cast<size_t>(count)});
            offset += static_cast<size_t>(count);
            size_bytes -= static_cast<size_t>(count);
        }
        return {};
    }

  private:
    std::filesystem::path path_;
    Descriptor descriptor_;
};

Result<void> add_file(Sha256& digest, const Metadata& metadata) {
    PIE_ASSIGN(PieceHash file, PieceHash::open(metadata.path()));
    const gguf_context* gguf = metadata.get();
    const size_t data_offset = gguf_get_data_offset(gguf);
    PIE_TRY(file.add(digest, 0, data_offset));
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
        const size_t begin = data_offset + gguf_get_tensor_offset(gguf, i);
        const size_t size_bytes = gguf_get_tensor_size(gguf, i);
        if (size_bytes <= pieces_per_tensor * piece_bytes) {
            PIE_TRY(file.add(digest, begin, size_bytes));
            continue;
        }
        for (size_t piece = 0; piece < pieces_per_tensor; ++piece) {
            const size_t offset = (size_bytes - piece_bytes) / (pieces_per_tensor - 1) * piece;
            PIE_TRY(file.add(digest, begin + offset, piece_bytes));
        }
    }
    return {};
}

// The files behind the first one.
Result<std::vector<std::filesystem::path>> other_parts(const Metadata& metadata) {
    PIE_ASSIGN(const std::optional<uint16_t> n_parts, metadata.find_u16("split.count"));
    std::vector<std::filesystem::path> parts;
    for (int32_t wanted = 1; wanted < n_parts.value_or(1); ++wanted) {
        const auto part = part_beside(metadata.path(), 0, *n_parts, wanted);
        if (!part) {
            return fail(
                ErrorCode::invalid_argument,
                fmt::format("{} is the first of {} parts of a model, but its name does not say so; give "
                            "the parts their names back",
                            metadata.path().string(), *n_parts));
        }
        parts.push_back(*part);
    }
    return parts;
}

} // namespace

Result<std::string> fingerprint_of(const Metadata& metadata) {
    PIE_ASSIGN(const auto others, other_parts(metadata));
    Sha256 digest;
    PIE_TRY(add_file(digest, metadata));
    for (const std::filesystem::path& path : others) {
        PIE_ASSIGN(const Metadata part, Metadata::open(path));
        PIE_TRY(add_file(digest, part));
    }
    return digest.hex_digest();
}

} // namespace pie
