#pragma once

// For tests: a tiny model with the markers of those that were trained on whole repositories.

#include "support/tiny_model.h"

#include <cstddef>
#include <cstdint>

namespace pie::test {

// Their names take the places of two byte tokens that valid UTF-8 never needs.
constexpr int32_t repository_marker = 254;
constexpr int32_t file_separator_marker = 255;

inline void add_repository_markers(gguf_context* gguf) {
    const auto token_at = [gguf](int32_t token) {
        return gguf_get_arr_str(gguf, gguf_find_key(gguf, "tokenizer.ggml.tokens"),
                                static_cast<size_t>(token));
    };
    testing::rename_tokens(gguf, {{token_at(repository_marker), "<|repo_name|>"},
                                  {token_at(file_separator_marker), "<|file_sep|>"}});
}

inline testing::TinyModel repository_model() {
    return {.architecture = "qwen2", .spoil = add_repository_markers};
}

} // namespace pie::test
