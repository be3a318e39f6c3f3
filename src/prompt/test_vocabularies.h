#pragma once

// For tests: the vocabularies that the llama.cpp tree carries as GGUF files without weights. A test that
// needs one which is not there says so and goes on.

#include "model/vocabulary.h"

#include <doctest/doctest.h>
#include <llama.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace pie::test {

class TestVocabulary {
  public:
    explicit TestVocabulary(llama_model* model) : model_(model), vocabulary_(llama_model_get_vocab(model)) {}
    const Vocabulary& vocabulary() const { return vocabulary_; }

  private:
    struct Free {
        void operator()(llama_model* model) const { llama_model_free(model); }
    };
    std::unique_ptr<llama_model, Free> model_;
    Vocabulary vocabulary_;
};

// Null where the file is missing. `name` as in ggml-vocab-<name>.gguf. Loaded without the LoadedModel, which
// refuses kinds of tokenisers that no supported model has; the code under test must be right for them too.
// `overrides` take the place of the file's metadata.
inline std::unique_ptr<TestVocabulary> load_vocabulary(const std::string& name,
                                                       const llama_model_kv_override* overrides = nullptr) {
    const std::string path = std::string(PIE_VOCABULARIES) + "/ggml-vocab-" + name + ".gguf";
    if (!std::filesystem::exists(path)) {
        MESSAGE("SKIPPED: there is no ", path);
        return nullptr;
    }
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    params.kv_overrides = overrides;
    llama_model* model = llama_model_load_from_file(path.c_str(), params);
    REQUIRE_MESSAGE(model != nullptr, "cannot load ", path);
    return std::make_unique<TestVocabulary>(model);
}

// Text as it stands in files that are edited: fragments of code, and whatever makes tokenisers stumble.
class RandomText {
  public:
    explicit RandomText(uint64_t seed) : random_(seed) {}

    size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

    std::string fragment();
    std::string of_size(size_t bytes) {
        std::string text;
        while (text.size() < bytes) {
            text += fragment();
        }
        return text;
    }
    // A place in `text` that is not inside a character.
    size_t place(const std::string& text) {
        size_t at = below(text.size() + 1);
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
            ++at;
        }
        return at;
    }

  private:
    std::mt19937_64 random_;
};

inline std::string RandomText::fragment() {
    static const std::vector<std::string> fragments = {
        // Code in several languages.
        "int main(int argc, char** argv) {\n    return 0;\n}\n", "    for (size_t i = 0; i < n; ++i) {\n",
        "        total += weights[i] * inputs[i];\n", "#include <vector>\n", "// a comment, with words\n",
        "/* block */", "def f(self, x=None):\n\treturn x ** 2\n", "    if it's_fine and not x:\n\n",
        "class A:\n    pass\n\n\n", "const s = `it's ${name}'re`;\n", "\"don't\" + 'll",
        "x = {'a': [1, 2.5e-3, 0xFF]}\n", "fn main() -> Result<()> {\n", "self.assertEqual(a, b)",
        "a == b && c != d || !e", "i++; --j; k <<= 2;", "=> { }", ");\n", "};\n}\n", "]\n", ",\n", "foo bar",
        " bar", "foo ", "_private", "CamelCaseName", "snake_case_name ", "http://example.org/a?b=c&d",
        "TODO: ",
        // White space.
        " ", "  ", "   ", "    ", "        ", "                 ", "\t", "\t\t", "\n", "\n\n", "\n\n\n\n",
        "\r\n", "\r\n\r\n", " \n", "\n ", " \n \n", "\t\n\t", "\r", "\x0B", "\x0C", "\u00A0", "\u3000",
        "\u2028", "\u0085", "x\n", "x \n", "\nx", "\n/", ";\n//", ";\n/* ", ")\n{", "\n'", "\n's ", "\r\nfoo",
        "\r\n  foo",
        // Single characters, so that edits are keystrokes.
        "a", "e", "s", "t", "0", "7", "42", "123456", "(", ")", "{", "}", "[", "]", "<", ">", "'", "\"", "`",
        "/", "\\", ".", ",", ";", ":", "=", "+", "-", "*", "#", "@", "$", "%", "^", "&", "|", "~", "!", "?",
        "_",
        // Other scripts, marks, emoji, what cannot be seen.
        "é", "e\u0301", "ñandú ", "ß", "Привет мир", "名前", "変数 = 値", "、", "。", "（）", "한국어",
        "العربية ", "हिन्दी", "ไทย", "😀", "👩\u200D👩\u200D👧", "🇩🇪", "\u200B", "\u200D", "\uFEFF", "\u00AD",
        "\u0300\u0301", "²", "½", "Ⅷ", "٣", "\U00020BB7", "\U0001D54F",
        // What looks like a marker, and the letters in which vocabularies write spaces and line breaks.
        "<|fim_prefix|>", "<|fim_suffix|>", "<fim_middle>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>",
        "<0x0A>", "<|im_start|>", "<tool_call>", "[PAD151646]", "<｜fim▁begin｜>", "▁", "▁▁", "▁the", "Ġ",
        "Ċ", "Ġthe", "<dna>", "</dna>"};
    return fragments[below(fragments.size())];
}

} // namespace pie::test
