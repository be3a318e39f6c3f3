#pragma once

// A loaded model: weights, vocabulary and hyperparameters. libllama does the loading (memory mapping,
// repacking for the processor, splitting over devices); the graphs on top are ours and take the weights by
// name.
//
// Thread rule: immutable after loading. Must outlive every cache and engine made for it.

#include "model/hyperparameters.h"
#include "model/matrix_copy.h"
#include "model/piece_index.h"
#include "model/vocabulary.h"

#include <pie/result.h>

#include <ggml-backend.h>
#include <llama.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace pie {

enum class LoadParts { all, vocabulary };
// Of matrices in host memory: as libllama lays them out, or in whatever way is computed with fastest on this
// processor and holds the same weights (model/widening.h, model/packed_matrix.h, model/repacking.h).
enum class MatrixTypes { fastest, file };

struct LoadOptions {
    int32_t n_gpu_layers = 0; // the last so many layers go to GPUs, as far as there are any
    LoadParts parts = LoadParts::all;
    MatrixTypes matrix_types = MatrixTypes::fastest;
};

class LoadedModel {
  public:
    // Errors: not_found, io, corrupt (damaged or cut off), unsupported.
    static Result<std::unique_ptr<LoadedModel>> load(const std::filesystem::path& path,
                                                     const LoadOptions& options = {});

    const Hyperparameters& hparams() const { return hparams_; }
    const Vocabulary& vocabulary() const { return vocabulary_; }
    // Made when it is first asked for, in some ten milliseconds.
    const PieceIndex& pieces() const;
    const std::filesystem::path& path() const { return path_; }
    // See vocabulary_doubts() of model/loadable.h.
    const std::vector<std::string>& doubts() const { return doubts_; }
    // See model/fingerprint.h; empty where only the vocabulary was loaded.
    const std::string& fingerprint() const { return fingerprint_; }

    // Null where the model has no such tensor: biases, per-head norms and the like are optional.
    ggml_tensor* tensor(const std::string& name) const;
    // The same for `blk.<layer>.<name>`.
    ggml_tensor* layer_tensor(int32_t layer, const char* name) const;
    // What turns the last layer's output into logits; the embedding itself, or another copy of it, where the
    // model has no matrix of its own for that.
    ggml_tensor* output_matrix() const { return output_matrix_; }
    // The device that holds a layer's weights; its cache belongs there too.
    ggml_backend_dev_t layer_device(int32_t layer) const;

    llama_model* get() const { return model_.get(); }

  private:
    struct Free {
        void operator()(llama_model* model) const { llama_model_free(model); }
    };

    LoadedModel(std::filesystem::path path, Hyperparameters hparams, llama_model* model, FimOrder fim_order);
    Result<void> collect_tensors();
    Result<void> check_layer(int32_t layer) const;
    Result<void> hold_faster();

    std::filesystem::path path_;
    std::string fingerprint_;
    std::vector<std::string> doubts_;
    Hyperparameters hparams_;
    std::unique_ptr<llama_model, Free> model_;
    Vocabulary vocabulary_;
    std::unordered_map<std::string, ggml_tensor*> tensors_;
    std::vector<MatrixCopy> copies_; // in the place of the file's, whose pages are not read again
    ggml_tensor* output_matrix_ = nullptr;
    mutable std::once_flag pieces_made_;
    mutable std::unique_ptr<const PieceIndex> pieces_;
};

} // namespace pie
