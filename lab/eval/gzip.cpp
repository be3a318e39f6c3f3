#include "eval/gzip.h"

#include "base/files.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>

namespace pie {
namespace {

struct Inflater {
    z_stream stream{};

    Inflater() = default;
    ~Inflater() { inflateEnd(&stream); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
};

tl::unexpected<Error> fail_damaged(const std::filesystem::path& path) {
    return fail(ErrorCode::corrupt,
                fmt::format("'{}' is a damaged gzip file; fetch or make it anew", path.string()));
}

// gzip files may be several, one behind the other.
Result<std::string> unpack(const std::string& packed, const std::filesystem::path& path,
                           uint64_t size_bytes_max) {
    constexpr int gzip_alone = 15 + 16; // the largest window, and no zlib header
    std::string text;
    std::array<char, 1 << 16> buffer{};
    size_t at = 0;
    while (at < packed.size()) {
        Inflater inflater;
        z_stream& stream = inflater.stream;
        if (inflateInit2(&stream, gzip_alone) != Z_OK) {
            return fail(ErrorCode::too_large,
                        fmt::format("there is no memory to unpack '{}'", path.string()));
        }
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + at));
        stream.avail_in = static_cast<uInt>(packed.size() - at);
        for (int status = Z_OK; status != Z_STREAM_END;) {
            stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
            stream.avail_out = static_cast<uInt>(buffer.size());
            status = inflate(&stream, Z_NO_FLUSH);
            const size_t n_written = buffer.size() - stream.avail_out;
            if ((status != Z_OK && status != Z_STREAM_END) || (status == Z_OK && n_written == 0)) {
                return fail_damaged(path);
            }
            text.append(buffer.data(), n_written);
            if (text.size() > size_bytes_max) {
                return fail(ErrorCode::too_large, fmt::format("'{}' holds more than {} MB of text",
                                                              path.string(), size_bytes_max / 1'000'000));
            }
        }
        at = packed.size() - stream.avail_in;
    }
    return text;
}

} // namespace

Result<std::string> read_text_or_gzip(const std::filesystem::path& path, uint64_t size_bytes_max) {
    Result<std::string> content = read_file(path, size_bytes_max);
    const bool is_packed = content && content->starts_with("\x1F\x8B");
    return is_packed ? unpack(*content, path, size_bytes_max) : content;
}

} // namespace pie
