#include "support/tiny_vocabulary.h"

#include "base/check.h"

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace pie::testing {
namespace {

// As GGUF numbers them.
constexpr int32_t token_normal = 1;
constexpr int32_t token_unknown = 2;
constexpr int32_t token_control = 3;
constexpr int32_t token_byte = 6;

// In the order of their numbers.
struct TokenList {
    std::vector<std::string> texts;
    std::vector<int32_t> types;

    void add(std::string text, int32_t type) {
        texts.push_back(std::move(text));
        types.push_back(type);
    }
};

void set_strings(gguf_context* gguf, const char* key, const std::vector<std::string>& strings) {
    std::vector<const char*> pointers;
    for (const std::string& string : strings) {
        pointers.push_back(string.c_str());
    }
    gguf_set_arr_str(gguf, key, pointers.data(), pointers.size());
}

void set_tokens(gguf_context* gguf, const TokenList& tokens) {
    PIE_CHECK(tokens.texts.size() == tiny_vocabulary_size, "the header promises the vocabulary's size");
    set_strings(gguf, "tokenizer.ggml.tokens", tokens.texts);
    gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, tokens.types.data(),
                      tokens.types.size());
}

// Byte-level BPE writes each byte as a printable character: itself where it is one, else one from U+0100 on.
std::string byte_token(int byte) {
    const auto is_printable = [](int b) {
        return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
    };
    int code = byte;
    if (!is_printable(byte)) {
        code = 256;
        for (int b = 0; b < byte; ++b) {
            code += is_printable(b) ? 0 : 1;
        }
    }
    if (code < 128) {
        return {static_cast<char>(code)};
    }
    return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

void add_byte_level(gguf_context* gguf) {
    TokenList tokens;
    std::vector<std::string> merges;
    for (int byte = 0; byte < 256; ++byte) {
        tokens.add(byte_token(byte), token_normal);
    }
    for (const char first : std::string_view("aeiou")) {
        for (const char second : std::string_view("nrstldmcpbgf")) {
            tokens.add({first, second}, token_normal);
            merges.push_back({first, ' ', second});
        }
    }
    for (const char* control : {"<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"}) {
        tokens.add(control, token_control);
    }
    gguf_set_val_str(gguf, "tokenizer.ggml.model", "gpt2");
    gguf_set_val_str(gguf, "tokenizer.ggml.pre", "gpt-2");
    set_tokens(gguf, tokens);
    set_strings(gguf, "tokenizer.ggml.merges", merges);
    gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", tiny_vocabulary_size - 4);
    gguf_set_val_u32(gguf, "tokenizer.ggml.eos_token_id", tiny_vocabulary_size - 4);
    gguf_set_val_bool(gguf, "tokenizer.ggml.add_bos_token", false);
}

void add_sentence_piece(gguf_context* gguf) {
    const std::string blank = "\u2581";
    TokenList tokens;
    tokens.add("<unk>", token_unknown);
    tokens.add("<s>", token_control);
    tokens.add("</s>", token_control);
    for (int byte = 0; byte < 256; ++byte) {
        std::array<char, 8> name{};
        std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
        tokens.add(name.data(), token_byte);
    }
    const size_t scored_begin = tokens.texts.size(); // what stands first is merged first
    std::string blanks = blank;
    for (int doubling = 0; doubling < 5; ++doubling) {
        tokens.add(blanks, token_normal);
        blanks += blanks;
    }
    for (const char* word : {"re", "tu", "rn", "turn", "return", "in", "int"}) {
        tokens.add(word, token_normal);
        tokens.add(blank + word, token_normal);
    }
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        tokens.add({letter}, token_normal);
    }
    for (const char* mark : {";", "}"}) {
        tokens.add(mark, token_normal);
    }
    for (const char letter : std::string_view("abcdefxyz};")) {
        tokens.add(blank + letter, token_normal);
    }
    for (const char* control : {"<PRE>", "<SUF>", "<MID>"}) {
        tokens.add(blank + control, token_control);
    }
    std::vector<float> scores(tokens.texts.size(), 0.0F);
    for (size_t i = scored_begin; i < scores.size(); ++i) {
        scores[i] = -static_cast<float>(i - scored_begin);
    }
    gguf_set_val_str(gguf, "tokenizer.ggml.model", "llama");
    set_tokens(gguf, tokens);
    gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
    gguf_set_val_u32(gguf, "tokenizer.ggml.unknown_token_id", 0);
    gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", 1);
    gguf_set_val_u32(gguf, "tokenizer.ggml.eos_token_id", 2);
}

} // namespace

void add_tiny_vocabulary(gguf_context* gguf, TinyVocabulary kind) {
    switch (kind) {
    case TinyVocabulary::byte_level:
        return add_byte_level(gguf);
    case TinyVocabulary::sentence_piece:
        return add_sentence_piece(gguf);
    }
}

} // namespace pie::testing
