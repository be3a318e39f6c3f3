#include "model/model.h"

#include "model/fingerprint.h"
#include "model/loadable.h"
#include "model/packed_matrix.h"
#include "model/repacking.h"
#include "model/widening.h"

#include <fmt/format.h>
#include <ggml-cpu.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Declared here and nowhere else: libllama keeps it out of its public header, but exports it for its own
// tools.
const std::vector<std::pair<std::string, ggml_tensor*>>&
llama_internal_get_tensor_map(const llama_model* model);

namespace pie {
namespace {

using MatrixCopier = Result<MatrixCopy> (*)(const ggml_tensor& matrix);

// Null where a matrix in host memory is computed with fastest as it is.
MatrixCopier faster_copier(const ggml_tensor& matrix) {
    const auto& n = matrix.ne; // columns, rows, matrices
    if (is_widened(matrix.type, n[0], n[1], n[2])) {
        return widen;
    }
    if (is_to_be_packed(matrix.type, n[0], n[1], n[2])) {
        return pack;
    }
    return repacking_memory(matrix.type, n[0], n[1], n[2]) != nullptr ? repack : nullptr;
}

// Gives back the memory that a matrix of a mapped file takes; the file still has it.
void release_pages(const ggml_tensor& matrix) {
    if (ggml_backend_buffer_name(matrix.buffer) != std::string_view("CPU_Mapped")) {
        return;
    }
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* begin = matrix.data;
    size_t n_bytes = ggml_nbytes(&matrix);
    if (std::align(page, page, begin, n_bytes) != nullptr) {
        madvise(begin, n_bytes / page * page, MADV_DONTNEED);
    }
}

// libllama reports why a load failed only in its log, so its first error line becomes our message; those
// behind it say only that the load failed.
class UpstreamLog {
  public:
    static UpstreamLog& instance() {
        static UpstreamLog log;
        return log;
    }
    std::string take_first_error() {
        constexpr std::string_view preamble = "error loading model: ";
        const std::lock_guard lock(mutex_);
        const size_t found = first_error_.find(preamble);
        first_error_.erase(0, found == std::string::npos ? 0 : found + preamble.size());
        return std::exchange(first_error_, {});
    }

  private:
    UpstreamLog() {
        llama_log_set([](ggml_log_level level, const char* text,
                         void* self) { static_cast<UpstreamLog*>(self)->receive(level, text); },
                      this);
        llama_backend_init();
    }
    void receive(ggml_log_level level, const char* text) {
        std::string line(text);
        while (!line.empty() && line.back() == '\n') {
            line.pop_back();
        }
        if (level == GGML_LOG_LEVEL_ERROR) {
            const std::lock_guard lock(mutex_);
            if (first_error_.empty()) {
                first_error_ = line;
            }
        }
        spdlog::debug("llama: {}", line);
    }

    std::mutex mutex_;
    std::string first_error_;
};

Result<std::vector<float>> read_freq_factors(const ggml_tensor* tensor, int32_t n_rot) {
    if (tensor == nullptr) {
        return std::vector<float>();
    }
    if (tensor->type != GGML_TYPE_F32 || tensor->ne[0] < n_rot / 2) {
        return fail(ErrorCode::corrupt, "rope_freqs.weight has the wrong type or length");
    }
    std::vector<float> factors(static_cast<size_t>(n_rot) / 2);
    ggml_backend_tensor_get(tensor, factors.data(), 0, factors.size() * sizeof(float));
    return factors;
}

// The tensors that our graphs use; a model with others would not compute what it should.
constexpr std::array known_tensors = {
    "token_embd", "output",       "output_norm", "rope_freqs",    "attn_norm",    "attn_q",   "attn_k",
    "attn_v",     "attn_output",  "attn_q_norm", "attn_k_norm",   "ffn_norm",     "ffn_gate", "ffn_up",
    "ffn_down",   "ffn_gate_inp", "ffn_up_exps", "ffn_gate_exps", "ffn_down_exps"};

// `blk.3.attn_q.weight` consists of attn_q and weight.
Result<void> check_tensor(const std::filesystem::path& path, const std::string& name,
                          const ggml_tensor& tensor) {
    const size_t suffix = name.rfind('.');
    const std::string kind = name.substr(std::min(suffix + 1, name.size()));
    std::string base = name.substr(0, suffix);
    base = base.substr(base.rfind('.') + 1);
    const bool is_known = std::ranges::find(known_tensors, base) != known_tensors.end();
    if (!is_known || (kind != "weight" && kind != "bias")) {
        return fail(ErrorCode::unsupported,
                    fmt::format("{} has a tensor {} that no supported graph uses", path.string(), name));
    }
    const bool is_vector = kind == "bias" || base.ends_with("_norm") || base == "rope_freqs";
    const bool is_computable = is_vector ? tensor.type == GGML_TYPE_F32
                                         : ggml_get_type_traits_cpu(tensor.type)->vec_dot != nullptr &&
                                               (tensor.type == GGML_TYPE_F32 ||
                                                ggml_get_type_traits(tensor.type)->to_float != nullptr);
    if (!is_computable) {
        return fail(ErrorCode::unsupported,
                    fmt::format("{}: tensor {} is of type {}, which cannot be computed with", path.string(),
                                name, ggml_type_name(tensor.type)));
    }
    return {};
}

// By the name that the file gives its model, as Mellum's markers are called like those of models that were
// trained with the prefix first.
FimOrder fim_order_of(const Metadata& metadata) {
    for (const char* key : {"general.basename", "general.name"}) {
        const auto found = metadata.find_string(key);
        std::string name = found ? found->value_or("") : "";
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
        if (name.find("mellum") != std::string::npos) {
            return FimOrder::suffix_first;
        }
    }
    return FimOrder::prefix_first;
}

} // namespace

LoadedModel::LoadedModel(std::filesystem::path path, Hyperparameters hparams, llama_model* model,
                         FimOrder fim_order)
    : path_(std::move(path)), hparams_(std::move(hparams)), model_(model),
      vocabulary_(llama_model_get_vocab(model), fim_order) {}

Result<std::unique_ptr<LoadedModel>> LoadedModel::load(const std::filesystem::path& path,
                                                       const LoadOptions& options) {
    UpstreamLog& log = UpstreamLog::instance();
    log.take_first_error();
    PIE_ASSIGN(const Metadata metadata, Metadata::open(path));
    PIE_TRY(check_loadable(metadata));
    Hyperparameters hparams;
    if (options.parts == LoadParts::all) {
        PIE_ASSIGN(hparams, read_hyperparameters(metadata));
    }
    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = options.n_gpu_layers;
    params.vocab_only = options.parts == LoadParts::vocabulary;
    // Which matrices are laid out anew is up to us: see hold_faster().
    params.use_extra_bufts = options.matrix_types == MatrixTypes::file;
    llama_model* loaded = llama_model_load_from_file(path.c_str(), params);
    if (loaded == nullptr) {
        const std::string reason = log.take_first_error();
        return fail(ErrorCode::corrupt,
                    fmt::format("{} cannot be loaded ({}); fetch it again if it is damaged", path.string(),
                                reason.empty() ? "no reason given" : reason));
    }
    std::unique_ptr<LoadedModel> model(
        new LoadedModel(path, std::move(hparams), loaded, fim_order_of(metadata)));
    model->doubts_ = vocabulary_doubts(metadata);
    if (options.parts == LoadParts::all) {
        PIE_TRY(model->collect_tensors());
        if (options.matrix_types == MatrixTypes::fastest) {
            PIE_TRY(model->hold_faster());
        }
        PIE_ASSIGN(model->fingerprint_, fingerprint_of(metadata));
    }
    return model;
}

Result<void> LoadedModel::collect_tensors() {
    for (const auto& [name, tensor] : llama_internal_get_tensor_map(model_.get())) {
        PIE_TRY(check_tensor(path_, name, *tensor));
        // Where the embedding is the output matrix too, and the output's device or the processor's kernels
        // want another layout of it, there are two of the name; only the one in host memory has rows to look
        // up.
        if (name == "token_embd.weight" && !ggml_backend_buffer_is_host(tensor->buffer)) {
            output_matrix_ = tensor;
        } else {
            tensors_.emplace(name, tensor);
        }
    }
    if (output_matrix_ == nullptr) {
        ggml_tensor* output = tensor("output.weight");
        output_matrix_ = output != nullptr ? output : tensor("token_embd.weight");
    }
    for (int32_t layer = 0; layer < hparams_.n_layer; ++layer) {
        PIE_TRY(check_layer(layer));
    }
    PIE_ASSIGN(hparams_.rope.freq_factors,
               read_freq_factors(tensor("rope_freqs.weight"), hparams_.rope.n_rot));
    return {};
}

Result<void> LoadedModel::hold_faster() {
    for (auto& [name, tensor] : tensors_) {
        // Rows of the embedding are looked up, for which no other layout serves.
        const bool is_looked_up = name == "token_embd.weight";
        const bool is_output = tensor == output_matrix_;
        const bool is_on_host = ggml_backend_buffer_is_host(tensor->buffer);
        const MatrixCopier copy = is_on_host ? faster_copier(*tensor) : nullptr;
        if ((is_looked_up && !is_output) || copy == nullptr) {
            continue;
        }
        PIE_ASSIGN(MatrixCopy faster, copy(*tensor));
        output_matrix_ = is_output ? faster.tensor : output_matrix_;
        release_pages(*tensor);
        tensor = is_looked_up ? tensor : faster.tensor;
        copies_.push_back(std::move(faster));
    }
    return {};
}

// libllama checks most shapes itself, but takes some of these from other metadata than our graphs.
Result<void> LoadedModel::check_layer(int32_t layer) const {
    const int64_t n_embd_q = int64_t{hparams_.n_head} * hparams_.head_dim;
    const auto has_shape = [&](const char* name, int dimension, int64_t n) {
        const ggml_tensor* weight = layer_tensor(layer, name);
        return weight != nullptr && weight->ne[dimension] == n;
    };
    if (!has_shape("attn_q.weight", 1, n_embd_q) || !has_shape("attn_k.weight", 1, hparams_.n_embd_kv()) ||
        !has_shape("attn_v.weight", 1, hparams_.n_embd_kv()) ||
        !has_shape("attn_output.weight", 0, n_embd_q) ||
        (hparams_.n_expert > 0 && layer_tensor(layer, "ffn_gate_inp.weight") != nullptr &&
         layer_tensor(layer, "ffn_gate_exps.weight") == nullptr)) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("{}: the tensors of layer {} do not fit {} query heads and {} key heads of {}, "
                        "or experts without a gate",
                        path_.string(), layer, hparams_.n_head, hparams_.n_head_kv, hparams_.head_dim));
    }
    return {};
}

const PieceIndex& LoadedModel::pieces() const {
    std::call_once(pieces_made_, [this] { pieces_ = std::make_unique<const PieceIndex>(vocabulary_); });
    return *pieces_;
}

ggml_tensor* LoadedModel::tensor(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : found->second;
}

ggml_tensor* LoadedModel::layer_tensor(int32_t layer, const char* name) const {
    return tensor(fmt::format("blk.{}.{}", layer, name));
}

ggml_backend_dev_t LoadedModel::layer_device(int32_t layer) const {
    const ggml_tensor* weight = layer_tensor(layer, "attn_norm.weight");
    ggml_backend_dev_t device = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(weight->buffer));
    return device != nullptr ? device : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

} // namespace pie
