#pragma once

// Writes small random models as GGUF files, so that tests of the engine need no download: every architecture
// of model/hyperparameters.h, with a vocabulary that libllama takes. The same description and seed give the
// same file. A test can spoil the metadata or leave tensors out, to see what becomes of damaged files.
//
// Thread rule: none of its own; each call writes one file.

#include "support/tiny_vocabulary.h"

#include <ggml.h>
#include <gguf.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace pie::testing {

struct TinyModel {
    std::string architecture = "llama";
    ggml_type weight_type = GGML_TYPE_F32; // of the matrices; norms, biases and routers are f32
    int32_t n_layer = 2;
    int32_t n_embd = 128;
    int32_t n_head = 4;
    int32_t n_head_kv = 2;
    int32_t head_dim = 32; // said in the metadata where it is not n_embd / n_head
    int32_t n_rot = 0;     // 0: not said, so the whole head
    int32_t n_ff = 256;
    int32_t n_expert = 0;
    int32_t n_expert_used = 2;
    std::string rope_scaling = {}; // "linear" or "yarn", by a factor of 4; empty: none
    bool has_freq_factors = false;
    bool has_tied_output = false; // the output matrix is the embedding
    bool has_all_biases = false;  // llama and granite may have them, qwen2 has those of the attention
    uint32_t seed = 1;
    TinyVocabulary vocabulary = TinyVocabulary::byte_level;

    std::function<void(gguf_context*)> spoil = {};     // called on the whole metadata before it is written
    std::string left_out_tensor = {};                  // not written
    std::map<std::string, ggml_type> other_types = {}; // of single tensors; rows must divide into blocks
};

// For `spoil`: gives tokens of the vocabulary other names; those that are not there are left out.
void rename_tokens(gguf_context* gguf, const std::map<std::string, std::string>& names);

void write_tiny_model(const TinyModel& description, const std::filesystem::path& path);

// A folder of its own under the system's temporary one, gone with its owner.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace pie::testing
