#pragma once

// For tests: a tiny model with the markers of those that were trained on whole repositories.

#include "support/tiny_model.h"

#include <cstdint>
#include <string>
#include <vector>

namespace pie::test {

// Their names take the places of two byte tokens that valid UTF-8 never needs.
constexpr int32_t repository_marker = 254;
constexpr int32_t file_separator_marker = 255;

inline void add_repository_markers(gguf_context* gguf) {
    const int64_t key = gguf_find_key(gguf, "tokenizer.ggml.tokens");
    std::vector<std::string> names;
    for (size_t i = 0; i < gguf_get_arr_n(gguf, key); ++i) {
        names.emplace_back(gguf_get_arr_str(gguf, key, i));
    }
    names.at(repository_marker) = "<|repo_name|>";
    names.at(file_separator_marker) = "<|file_sep|>";
    std::vector<const char*> pointers;
    for (const std::string& name : names) {
        pointers.push_back(name.c_str());
    }
    gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
}

inline testing::TinyModel repository_model() {
    return {.architecture = "qwen2", .spoil = add_repository_markers};
}

} // namespace pie::test
