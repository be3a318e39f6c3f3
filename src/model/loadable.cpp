#include "model/loadable.h"

#include <fmt/format.h>

#include <string_view>
#include <unordered_set>
#include <vector>

namespace pie {
namespace {

constexpr size_t buffer_alignment = 32; // of ggml's CPU buffers, which map the file as it lies on the disk

Result<void> check_vocabulary(const Metadata& metadata) {
    PIE_ASSIGN(const std::string kind, metadata.require_string("tokenizer.ggml.model"));
    if (kind != "gpt2" && kind != "llama") {
        return fail(
            ErrorCode::unsupported,
            fmt::format("{}: tokenizer '{}' is not supported; supported are gpt2 (byte-level BPE) and "
                        "llama (SentencePiece)",
                        metadata.path().string(), kind));
    }
    PIE_ASSIGN(const std::vector<std::string_view> tokens, metadata.require_strings("tokenizer.ggml.tokens"));
    if (tokens.empty()) {
        return fail(ErrorCode::corrupt, fmt::format("{} has no tokens", metadata.path().string()));
    }
    std::unordered_set<std::string_view> seen;
    seen.reserve(tokens.size());
    for (const std::string_view token : tokens) {
        // The loader gives empty ones names of their own.
        if (!token.empty() && !seen.insert(token).second) {
            return fail(ErrorCode::corrupt, fmt::format("{}: token '{}' is there twice; fetch the file again",
                                                        metadata.path().string(), token));
        }
    }
    return {};
}

} // namespace

Result<void> check_loadable(const Metadata& metadata) {
    if (metadata.alignment() % buffer_alignment != 0) {
        return fail(ErrorCode::unsupported,
                    fmt::format("{}: tensors aligned to {} bytes cannot be mapped; {} are needed",
                                metadata.path().string(), metadata.alignment(), buffer_alignment));
    }
    if (const auto type = metadata.tensor_type("rope_freqs.weight"); type && *type != GGML_TYPE_F32) {
        return fail(ErrorCode::corrupt, fmt::format("{}: rope_freqs.weight is of type {}, f32 was expected",
                                                    metadata.path().string(), ggml_type_name(*type)));
    }
    return check_vocabulary(metadata);
}

} // namespace pie
