#include "model/loadable.h"

#include "model/split_files.h"

#include <fmt/format.h>
#include <llama.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace pie {
namespace {

constexpr size_t buffer_alignment = 32; // of ggml's CPU buffers, which map the file as it lies on the disk

// Blanks stay as they are in the pieces that "whitespace" splits a text into, and libllama's search for
// merges takes none.
Result<void> check_pre_tokenizer(const Metadata& metadata) {
    PIE_ASSIGN(const std::optional<std::string> name, metadata.find_string("tokenizer.ggml.pre"));
    if (name == "whitespace") {
        return fail(ErrorCode::unsupported,
                    fmt::format("{}: pre-tokenizer 'whitespace' (tokenizer.ggml.pre) is not supported, as "
                                "libllama would end the program at two blanks in a row; use another model",
                                metadata.path().string()));
    }
    return {};
}

Result<void> check_vocabulary(const Metadata& metadata) {
    PIE_ASSIGN(const std::string kind, metadata.require_string("tokenizer.ggml.model"));
    if (kind != "gpt2" && kind != "llama") {
        return fail(
            ErrorCode::unsupported,
            fmt::format("{}: tokenizer '{}' is not supported; supported are gpt2 (byte-level BPE) and "
                        "llama (SentencePiece)",
                        metadata.path().string(), kind));
    }
    if (kind == "gpt2") { // the only kind that has pre-tokenizers
        PIE_TRY(check_pre_tokenizer(metadata));
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

// libllama starts with the first part alone.
Result<void> check_is_first_part(const Metadata& metadata) {
    PIE_ASSIGN(const std::optional<uint16_t> number, metadata.find_u16("split.no"));
    PIE_ASSIGN(const std::optional<uint16_t> n_parts, metadata.find_u16("split.count"));
    if (number.value_or(0) == 0) {
        return {};
    }
    const auto first = part_beside(metadata.path(), *number, n_parts.value_or(0), 0);
    return fail(ErrorCode::unsupported,
                fmt::format("{} is part {} of a split model; give the first file{}", metadata.path().string(),
                            *number + 1, first ? ", " + first->string() : ""));
}

// Of tokens that libllama knows by a meaning; it takes those that lie beyond the vocabulary for absent.
constexpr std::array special_tokens = {"bos",     "eos",     "eot",     "eom",     "unknown", "seperator",
                                       "padding", "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep",
                                       "fim_sep", "prefix",  "suffix",  "middle"};

} // namespace

std::vector<std::string> vocabulary_doubts(const Metadata& metadata) {
    std::vector<std::string> doubts;
    const std::string path = metadata.path().string();
    if (metadata.require_string("tokenizer.ggml.model") == "gpt2" && !metadata.has("tokenizer.ggml.pre")) {
        doubts.push_back(fmt::format(
            "{} does not say how its text is split into words (tokenizer.ggml.pre), so tokens may not be "
            "those of the model's training; a newer conversion of the model says it",
            path));
    }
    const auto tokens = metadata.require_strings("tokenizer.ggml.tokens");
    for (const char* name : special_tokens) {
        const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
        const auto id = metadata.find_u32(key);
        if (tokens && id && *id && **id >= tokens->size()) {
            doubts.push_back(
                fmt::format("{}: {} is {}, beyond the vocabulary of {} tokens; it is taken for absent", path,
                            key, **id, tokens->size()));
        }
    }
    return doubts;
}

Result<void> check_loadable(const Metadata& metadata) {
    PIE_TRY(check_is_first_part(metadata));
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
