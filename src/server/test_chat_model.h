#pragma once

// For tests: the tiny model with a chat template, ChatML, and its markers.

#include "prompt/test_repository_model.h"
#include "support/tiny_model.h"

#include <cstdint>
#include <string>
#include <vector>

namespace pie::test {

inline constexpr const char* chat_template =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{{ '<|im_start|>assistant\n' }}";

// Their names take the places of two more byte tokens that valid UTF-8 never needs.
inline void add_chat_template(gguf_context* gguf) {
    constexpr int32_t begin_marker = 252;
    constexpr int32_t end_marker = 253;
    constexpr int32_t token_control = 3;
    add_repository_markers(gguf);
    const int64_t key = gguf_find_key(gguf, "tokenizer.ggml.tokens");
    std::vector<std::string> names;
    std::vector<const char*> pointers;
    for (size_t i = 0; i < gguf_get_arr_n(gguf, key); ++i) {
        names.emplace_back(gguf_get_arr_str(gguf, key, i));
    }
    names.at(begin_marker) = "<|im_start|>";
    names.at(end_marker) = "<|im_end|>";
    for (const std::string& name : names) {
        pointers.push_back(name.c_str());
    }
    const int64_t types_key = gguf_find_key(gguf, "tokenizer.ggml.token_type");
    const auto* types = static_cast<const int32_t*>(gguf_get_arr_data(gguf, types_key));
    std::vector<int32_t> own_types(types, types + gguf_get_arr_n(gguf, types_key));
    own_types.at(begin_marker) = token_control;
    own_types.at(end_marker) = token_control;
    gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
    gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, own_types.data(), own_types.size());
    gguf_set_val_str(gguf, "tokenizer.chat_template", chat_template);
}

inline testing::TinyModel chat_model() {
    return {.architecture = "qwen2", .spoil = add_chat_template};
}

} // namespace pie::test
