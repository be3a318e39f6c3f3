#pragma once

// The key/value part of a GGUF file, typed and checked: what is absent, of another type or out of range is an
// error that names the key, never a crash. Owned by whoever opened it; immutable, so any thread may read.

#include <pie/result.h>

#include <gguf.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

class Metadata {
  public:
    // Errors: not_found, io (not readable), corrupt (not a GGUF, or one cut off inside its header).
    static Result<Metadata> open(const std::filesystem::path& path);

    // Absent: an empty optional. Present with another type, or an array: corrupt.
    Result<std::optional<uint16_t>> find_u16(const std::string& key) const;
    Result<std::optional<uint32_t>> find_u32(const std::string& key) const;
    Result<std::optional<float>> find_f32(const std::string& key) const;
    Result<std::optional<bool>> find_bool(const std::string& key) const;
    Result<std::optional<std::string>> find_string(const std::string& key) const;

    // The same, and absence is an error too.
    Result<uint32_t> require_u32(const std::string& key) const;
    Result<float> require_f32(const std::string& key) const;
    Result<std::string> require_string(const std::string& key) const;
    // An array of strings; views into this object.
    Result<std::vector<std::string_view>> require_strings(const std::string& key) const;

    bool has(const std::string& key) const { return gguf_find_key(context_.get(), key.c_str()) >= 0; }
    // Of a tensor in this file; empty where it has none of the name.
    std::optional<ggml_type> tensor_type(const std::string& name) const;
    // Bytes; where tensors may begin.
    size_t alignment() const { return gguf_get_alignment(context_.get()); }
    const std::filesystem::path& path() const { return path_; }
    const gguf_context* get() const { return context_.get(); }

  private:
    struct Free {
        void operator()(gguf_context* context) const { gguf_free(context); }
    };

    Metadata(std::filesystem::path path, gguf_context* context) : path_(std::move(path)), context_(context) {}

    // The key's index when it is there and of type `type`; empty when absent.
    Result<std::optional<int64_t>> find(const std::string& key, gguf_type type) const;
    tl::unexpected<Error> missing(const std::string& key) const;

    std::filesystem::path path_;
    std::unique_ptr<gguf_context, Free> context_;
};

} // namespace pie
