#include "model/metadata.h"

#include <fmt/format.h>

#include <system_error>

namespace pie {

Result<Metadata> Metadata::open(const std::filesystem::path& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) {
        return fail(ErrorCode::not_found, fmt::format("there is no model file {}", path.string()));
    }
    if (!std::filesystem::is_regular_file(status)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} is not a file; name a GGUF file", path.string()));
    }
    if (FILE* file = std::fopen(path.c_str(), "rb"); file == nullptr) {
        return fail(ErrorCode::io, fmt::format("{} cannot be opened for reading", path.string()));
    } else {
        std::fclose(file);
    }
    gguf_context* context = gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr});
    if (context == nullptr) {
        return fail(
            ErrorCode::corrupt,
            fmt::format("{} is no GGUF file, or its header is damaged; fetch it again", path.string()));
    }
    return Metadata(path, context);
}

Result<std::optional<int64_t>> Metadata::find(const std::string& key, gguf_type type) const {
    const int64_t id = gguf_find_key(context_.get(), key.c_str());
    if (id < 0) {
        return std::optional<int64_t>();
    }
    const gguf_type found = gguf_get_kv_type(context_.get(), id);
    if (found != type) {
        return fail(ErrorCode::corrupt,
                    fmt::format("{}: key {} is of type {}, {} was expected", path_.string(), key,
                                gguf_type_name(found), gguf_type_name(type)));
    }
    return std::optional(id);
}

tl::unexpected<Error> Metadata::missing(const std::string& key) const {
    return fail(ErrorCode::corrupt, fmt::format("{} lacks the key {}", path_.string(), key));
}

Result<std::optional<uint32_t>> Metadata::find_u32(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_UINT32));
    return id ? std::optional(gguf_get_val_u32(context_.get(), *id)) : std::nullopt;
}

Result<std::optional<float>> Metadata::find_f32(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_FLOAT32));
    return id ? std::optional(gguf_get_val_f32(context_.get(), *id)) : std::nullopt;
}

Result<std::optional<uint16_t>> Metadata::find_u16(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_UINT16));
    return id ? std::optional(gguf_get_val_u16(context_.get(), *id)) : std::nullopt;
}

Result<std::optional<bool>> Metadata::find_bool(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_BOOL));
    return id ? std::optional(gguf_get_val_bool(context_.get(), *id)) : std::nullopt;
}

Result<std::optional<std::string>> Metadata::find_string(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_STRING));
    return id ? std::optional<std::string>(gguf_get_val_str(context_.get(), *id)) : std::nullopt;
}

Result<uint32_t> Metadata::require_u32(const std::string& key) const {
    PIE_ASSIGN(const auto value, find_u32(key));
    return value ? Result<uint32_t>(*value) : missing(key);
}

Result<float> Metadata::require_f32(const std::string& key) const {
    PIE_ASSIGN(const auto value, find_f32(key));
    return value ? Result<float>(*value) : missing(key);
}

Result<std::string> Metadata::require_string(const std::string& key) const {
    PIE_ASSIGN(const auto value, find_string(key));
    return value ? Result<std::string>(*value) : missing(key);
}

Result<std::vector<std::string_view>> Metadata::require_strings(const std::string& key) const {
    PIE_ASSIGN(const auto id, find(key, GGUF_TYPE_ARRAY));
    if (!id) {
        return missing(key);
    }
    if (gguf_get_arr_type(context_.get(), *id) != GGUF_TYPE_STRING) {
        return fail(ErrorCode::corrupt, fmt::format("{}: key {} is no list of strings", path_.string(), key));
    }
    std::vector<std::string_view> strings(gguf_get_arr_n(context_.get(), *id));
    for (size_t i = 0; i < strings.size(); ++i) {
        strings[i] = gguf_get_arr_str(context_.get(), *id, i);
    }
    return strings;
}

std::optional<ggml_type> Metadata::tensor_type(const std::string& name) const {
    const int64_t id = gguf_find_tensor(context_.get(), name.c_str());
    return id < 0 ? std::nullopt : std::optional(gguf_get_tensor_type(context_.get(), id));
}

} // namespace pie
