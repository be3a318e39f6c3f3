#include "support/tiny_model.h"

#include "base/check.h"

#include <ggml-cpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <system_error>
#include <vector>

namespace pie::testing {
namespace {

void add_hyperparameters(gguf_context* gguf, const TinyModel& m) {
    const auto key = [&m](const char* name) { return m.architecture + "." + name; };
    const auto set_u32 = [&](const char* name, int32_t value) {
        gguf_set_val_u32(gguf, key(name).c_str(), static_cast<uint32_t>(value));
    };
    const auto set_f32 = [&](const char* name, float value) {
        gguf_set_val_f32(gguf, key(name).c_str(), value);
    };
    gguf_set_val_str(gguf, "general.architecture", m.architecture.c_str());
    set_u32("block_count", m.n_layer);
    set_u32("context_length", 2048);
    set_u32("embedding_length", m.n_embd);
    set_u32("feed_forward_length", m.n_ff);
    set_u32("attention.head_count", m.n_head);
    set_u32("attention.head_count_kv", m.n_head_kv);
    if (m.head_dim * m.n_head != m.n_embd) {
        set_u32("attention.key_length", m.head_dim);
        set_u32("attention.value_length", m.head_dim);
    }
    set_f32(m.architecture == "starcoder2" ? "attention.layer_norm_epsilon"
                                           : "attention.layer_norm_rms_epsilon",
            1e-5F);
    if (m.n_expert > 0) {
        set_u32("expert_count", m.n_expert);
        set_u32("expert_used_count", m.n_expert_used);
        set_u32("expert_feed_forward_length", m.n_ff);
    }
    set_f32("rope.freq_base", 10000.0F);
    if (m.n_rot != 0) {
        set_u32("rope.dimension_count", m.n_rot);
    }
    if (!m.rope_scaling.empty()) {
        gguf_set_val_str(gguf, key("rope.scaling.type").c_str(), m.rope_scaling.c_str());
        set_f32("rope.scaling.factor", 4.0F);
        set_u32("rope.scaling.original_context_length", 512);
    }
    if (m.architecture == "granite") {
        set_f32("attention.scale", 0.25F);
        set_f32("embedding_scale", 3.0F);
        set_f32("residual_scale", 0.7F);
        set_f32("logit_scale", 2.5F);
    }
}

// Makes the tensors in the order of the layers, each with numbers from the description's seed.
class TensorWriter {
  public:
    TensorWriter(gguf_context* gguf, const TinyModel& model) : gguf_(gguf), m_(model), random_(model.seed) {}

    void write_all();

  private:
    std::vector<float> random_numbers(size_t n, float mean, float deviation);
    void add(const std::string& name, ggml_type type, const std::vector<int64_t>& shape, float mean,
             float deviation);
    void matrix(const std::string& name, const std::vector<int64_t>& shape) {
        add(name, m_.weight_type, shape, 0.0F, 1.0F / std::sqrt(static_cast<float>(shape[0])));
    }
    void scale(const std::string& name, int64_t n) { add(name, GGML_TYPE_F32, {n}, 1.0F, 0.1F); }
    void bias(const std::string& name, int64_t n) { add(name, GGML_TYPE_F32, {n}, 0.0F, 0.2F); }
    void norm(const std::string& name);
    void linear(const std::string& name, int64_t n_in, int64_t n_out, bool has_bias);
    void attention(const std::string& layer);
    void feed_forward(const std::string& layer);

    gguf_context* gguf_;
    const TinyModel& m_;
    std::mt19937 random_;
    std::vector<ggml_context_ptr> contexts_; // one a tensor, kept until the file is written
};

std::vector<float> TensorWriter::random_numbers(size_t n, float mean, float deviation) {
    const float range = deviation * std::sqrt(12.0F);
    std::uniform_real_distribution<float> uniform(mean - range / 2, mean + range / 2);
    std::vector<float> numbers(n);
    std::ranges::generate(numbers, [&] { return uniform(random_); });
    return numbers;
}

void TensorWriter::add(const std::string& name, ggml_type type, const std::vector<int64_t>& shape, float mean,
                       float deviation) {
    if (name == m_.left_out_tensor) {
        return;
    }
    if (const auto other = m_.other_types.find(name); other != m_.other_types.end()) {
        type = other->second;
    }
    const int64_t block = ggml_blck_size(type);
    PIE_CHECK(shape[0] % block == 0, "rows divide into blocks");
    const int64_t n = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies());
    const size_t bytes = ggml_row_size(type, n);
    contexts_.emplace_back(ggml_init({ggml_tensor_overhead() + bytes + 1024, nullptr, false}));
    ggml_tensor* tensor =
        ggml_new_tensor(contexts_.back().get(), type, static_cast<int>(shape.size()), shape.data());
    ggml_set_name(tensor, name.c_str());

    // Quantising takes long, so a tensor is put together from 32 different blocks.
    const int64_t n_different = ggml_is_quantized(type) ? std::min(n, 32 * block) : n;
    const std::vector<float> numbers = random_numbers(static_cast<size_t>(n_different), mean, deviation);
    auto* data = static_cast<std::byte*>(tensor->data);
    const size_t n_blocks =
        ggml_quantize_chunk(type, numbers.data(), data, 0, n_different / block, block, nullptr) /
        ggml_type_size(type);
    for (size_t at = n_blocks * ggml_type_size(type); at < bytes; at += ggml_type_size(type)) {
        const size_t from = random_() % n_blocks * ggml_type_size(type);
        std::copy_n(data + from, ggml_type_size(type), data + at);
    }
    gguf_add_tensor(gguf_, tensor);
}

void TensorWriter::norm(const std::string& name) {
    scale(name + ".weight", m_.n_embd);
    if (m_.architecture == "starcoder2") {
        bias(name + ".bias", m_.n_embd);
    }
}

void TensorWriter::linear(const std::string& name, int64_t n_in, int64_t n_out, bool has_bias) {
    matrix(name + ".weight", {n_in, n_out});
    if (has_bias) {
        bias(name + ".bias", n_out);
    }
}

void TensorWriter::attention(const std::string& layer) {
    const int64_t n_q = int64_t{m_.n_head} * m_.head_dim;
    const int64_t n_kv = int64_t{m_.n_head_kv} * m_.head_dim;
    const bool has_all = m_.architecture == "starcoder2" || m_.has_all_biases;
    const bool has_input = has_all || m_.architecture == "qwen2";
    norm(layer + "attn_norm");
    linear(layer + "attn_q", m_.n_embd, n_q, has_input);
    linear(layer + "attn_k", m_.n_embd, n_kv, has_input);
    linear(layer + "attn_v", m_.n_embd, n_kv, has_input);
    linear(layer + "attn_output", n_q, m_.n_embd, has_all);
    if (m_.architecture == "qwen3" || m_.architecture == "qwen3moe") {
        scale(layer + "attn_q_norm.weight", m_.head_dim);
        scale(layer + "attn_k_norm.weight", m_.head_dim);
    }
}

void TensorWriter::feed_forward(const std::string& layer) {
    norm(layer + "ffn_norm");
    if (m_.n_expert > 0) {
        add(layer + "ffn_gate_inp.weight", GGML_TYPE_F32, {m_.n_embd, m_.n_expert}, 0.0F, 0.2F);
        matrix(layer + "ffn_gate_exps.weight", {m_.n_embd, m_.n_ff, m_.n_expert});
        matrix(layer + "ffn_up_exps.weight", {m_.n_embd, m_.n_ff, m_.n_expert});
        matrix(layer + "ffn_down_exps.weight", {m_.n_ff, m_.n_embd, m_.n_expert});
        return;
    }
    const bool has_biases = m_.architecture == "starcoder2" || m_.has_all_biases;
    if (m_.architecture != "starcoder2") {
        linear(layer + "ffn_gate", m_.n_embd, m_.n_ff, has_biases);
    }
    linear(layer + "ffn_up", m_.n_embd, m_.n_ff, has_biases);
    linear(layer + "ffn_down", m_.n_ff, m_.n_embd, has_biases);
}

void TensorWriter::write_all() {
    add("token_embd.weight", m_.weight_type, {m_.n_embd, tiny_vocabulary_size}, 0.0F, 1.0F);
    if (m_.has_freq_factors) {
        const int64_t n_rot = m_.n_rot != 0 ? m_.n_rot : m_.head_dim;
        add("rope_freqs.weight", GGML_TYPE_F32, {n_rot / 2}, 4.0F, 1.0F);
    }
    for (int32_t layer = 0; layer < m_.n_layer; ++layer) {
        const std::string prefix = "blk." + std::to_string(layer) + ".";
        attention(prefix);
        feed_forward(prefix);
    }
    norm("output_norm");
    if (!m_.has_tied_output) {
        matrix("output.weight", {m_.n_embd, tiny_vocabulary_size});
    }
}

} // namespace

void rename_tokens(gguf_context* gguf, const std::map<std::string, std::string>& names) {
    const int64_t key = gguf_find_key(gguf, "tokenizer.ggml.tokens");
    std::vector<std::string> tokens;
    for (size_t i = 0; i < gguf_get_arr_n(gguf, key); ++i) {
        const std::string name = gguf_get_arr_str(gguf, key, i);
        const auto renamed = names.find(name);
        tokens.push_back(renamed == names.end() ? name : renamed->second);
    }
    std::vector<const char*> pointers;
    for (const std::string& token : tokens) {
        pointers.push_back(token.c_str());
    }
    gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
}

void write_tiny_model(const TinyModel& description, const std::filesystem::path& path) {
    gguf_context* gguf = gguf_init_empty();
    add_hyperparameters(gguf, description);
    add_tiny_vocabulary(gguf, description.vocabulary);
    if (description.spoil) {
        description.spoil(gguf);
    }
    TensorWriter writer(gguf, description);
    writer.write_all();
    const bool is_written = gguf_write_to_file(gguf, path.c_str(), false);
    gguf_free(gguf);
    PIE_CHECK(is_written, "the temporary folder can be written");
}

TemporaryFolder::TemporaryFolder() {
    static std::atomic<int> count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("pie-test-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace pie::testing
