#include "model/hyperparameters.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

namespace pie {
namespace {

constexpr std::array architectures = {
    Architecture{"llama", "DeepSeek-Coder, CodeLlama, Codestral, Mellum, Yi-Coder, Seed-Coder, SmolLM2",
                 RopeLayout::interleaved, NormKind::rms, FfnKind::swiglu},
    Architecture{"qwen2", "Qwen2.5-Coder", RopeLayout::neox, NormKind::rms, FfnKind::swiglu},
    Architecture{"qwen3", "Qwen3", RopeLayout::neox, NormKind::rms, FfnKind::swiglu},
    Architecture{"qwen3moe", "Qwen3-Coder-30B-A3B", RopeLayout::neox, NormKind::rms, FfnKind::swiglu},
    Architecture{"starcoder2", "StarCoder2", RopeLayout::neox, NormKind::layer, FfnKind::gelu},
    Architecture{"granite", "Granite Code", RopeLayout::interleaved, NormKind::rms, FfnKind::swiglu},
};

// libllama's bounds; it ends the program beyond them.
constexpr uint32_t n_layer_max = 512;
constexpr int32_t n_expert_max = 1024;

std::string supported_list() {
    std::string list;
    for (const Architecture& a : architectures) {
        list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", a.name, a.models);
    }
    return list;
}

Result<const Architecture*> find_architecture(const std::string& name) {
    for (const Architecture& a : architectures) {
        if (name == a.name) {
            return &a;
        }
    }
    return fail(
        ErrorCode::unsupported,
        fmt::format("architecture '{}' is not supported: an edit moves cached keys by rotary position, which "
                    "sliding windows, recurrent states and multi-dimensional rope (M-RoPE) do not allow, and "
                    "each supported graph is checked against libllama; supported are {}",
                    name, supported_list()));
}

// Reads keys under the architecture's prefix; the first error sticks, so that the caller checks once.
class PrefixedReader {
  public:
    PrefixedReader(const Metadata& metadata, std::string prefix)
        : metadata_(&metadata), prefix_(std::move(prefix)) {}

    int32_t u32(const char* key, int32_t fallback) {
        return bounded(key, keep(metadata_->find_u32(prefix_ + key)), fallback, 0, number_max);
    }
    // A count that must be in the file.
    int32_t count(const char* key, uint32_t max = number_max) {
        auto value = metadata_->require_u32(prefix_ + key);
        if (!value) {
            stick(std::move(value).error());
            return 1;
        }
        return bounded(key, *value, 1, 1, max);
    }
    float f32(const char* key, float fallback) {
        const float value = keep(metadata_->find_f32(prefix_ + key)).value_or(fallback);
        if (!std::isfinite(value) || value < 0.0F) {
            out_of_range(key, value);
            return fallback;
        }
        return value;
    }
    bool boolean(const char* key, bool fallback) {
        return keep(metadata_->find_bool(prefix_ + key)).value_or(fallback);
    }
    std::string string(const char* key, const char* fallback) {
        return keep(metadata_->find_string(prefix_ + key)).value_or(fallback);
    }
    const std::optional<Error>& error() const { return error_; }
    tl::unexpected<Error> failure(ErrorCode code, const std::string& reason) const {
        return fail(code, fmt::format("{}: {}", metadata_->path().string(), reason));
    }

  private:
    static constexpr uint32_t number_max = 1U << 24; // no real model comes near

    int32_t bounded(const char* key, std::optional<uint32_t> value, int32_t fallback, uint32_t min,
                    uint32_t max) {
        if (value && (*value < min || *value > max)) {
            out_of_range(key, *value);
            return fallback;
        }
        return value ? static_cast<int32_t>(*value) : fallback;
    }
    template <typename T>
    void out_of_range(const char* key, T value) {
        stick({ErrorCode::corrupt, fmt::format("{}: {}{} is {}, which is out of range",
                                               metadata_->path().string(), prefix_, key, value)});
    }
    template <typename T>
    std::optional<T> keep(Result<std::optional<T>> value) {
        if (!value) {
            stick(std::move(value).error());
            return std::nullopt;
        }
        return *std::move(value);
    }
    void stick(Error error) {
        if (!error_) {
            error_ = std::move(error);
        }
    }

    const Metadata* metadata_;
    std::string prefix_;
    std::optional<Error> error_;
};

// YaRN's magnitude factor as libllama's context computes it: the part that ggml's rope applies by itself is
// divided out again (llama.cpp discussion 7416).
float yarn_attn_factor(float freq_scale) {
    const float factor = 1.0F / freq_scale;
    const float magnitude = factor <= 1.0F ? 1.0F : 0.1F * std::log(factor) + 1.0F;
    return magnitude * (1.0F / (1.0F + 0.1F * std::log(factor)));
}

Result<RopeParams> read_rope(PrefixedReader& reader, const Hyperparameters& hp) {
    RopeParams rope;
    rope.layout = hp.architecture->rope;
    rope.head_dim = hp.head_dim;
    rope.n_rot = reader.u32("rope.dimension_count", hp.head_dim);
    rope.freq_base = reader.f32("rope.freq_base", 10000.0F);
    const float factor = reader.f32("rope.scaling.factor", reader.f32("rope.scale_linear", 0.0F));
    const std::string scaling = reader.string("rope.scaling.type", "linear");
    rope.n_ctx_orig = reader.u32("rope.scaling.original_context_length", 0);
    rope.n_ctx_orig = rope.n_ctx_orig == 0 ? hp.n_ctx_train : rope.n_ctx_orig;
    rope.freq_scale = factor == 0.0F || scaling == "none" ? 1.0F : 1.0F / factor;
    if (scaling == "yarn") {
        rope.ext_factor = 1.0F;
        rope.attn_factor = yarn_attn_factor(rope.freq_scale);
    } else if (scaling != "linear" && scaling != "none") {
        return reader.failure(ErrorCode::unsupported,
                              fmt::format("rope scaling '{}' is not supported; supported are none, linear, "
                                          "yarn, and llama3's frequency factors",
                                          scaling));
    }
    rope.attn_factor *= reader.f32("rope.scaling.attn_factor", 1.0F);
    if (rope.n_rot == 0 || rope.n_rot % 2 != 0 || rope.n_rot > hp.head_dim || rope.freq_base == 0.0F) {
        return reader.failure(
            ErrorCode::corrupt,
            fmt::format("rope parameters are out of range (dimension_count {}, head size {}, "
                        "freq_base {})",
                        rope.n_rot, hp.head_dim, rope.freq_base));
    }
    return rope;
}

Result<void> check_shape(const PrefixedReader& reader, const Hyperparameters& hp, int32_t value_length) {
    const int64_t n_embd_q = int64_t{hp.n_head} * hp.head_dim;
    if (hp.n_head_kv < 1 || hp.n_head % hp.n_head_kv != 0 || hp.head_dim < 1 || value_length != hp.head_dim ||
        n_embd_q > std::numeric_limits<int32_t>::max()) {
        return reader.failure(
            ErrorCode::unsupported,
            fmt::format("heads of this shape are not supported: {} query heads, {} key heads, keys of {}, "
                        "values of {}",
                        hp.n_head, hp.n_head_kv, hp.head_dim, value_length));
    }
    if (hp.n_expert > n_expert_max || hp.n_expert_used > hp.n_expert ||
        (hp.n_expert > 0 && hp.n_expert_used < 1)) {
        return reader.failure(ErrorCode::corrupt, fmt::format("{} of {} experts used is out of range",
                                                              hp.n_expert_used, hp.n_expert));
    }
    return {};
}

// What libllama knows for these architectures and our graphs do not have.
Result<void> check_features(PrefixedReader& reader, const Metadata& metadata, const std::string& name) {
    if (!reader.boolean("attention.causal", true)) {
        return reader.failure(ErrorCode::unsupported,
                              "attention looks ahead, so the model cannot complete text");
    }
    if (reader.u32("nextn_predict_layers", 0) != 0 || reader.u32("expert_group_count", 0) != 0) {
        return reader.failure(ErrorCode::unsupported,
                              "layers that predict further tokens and groups of experts are not supported");
    }
    if (name == "granite" && !reader.boolean("rope.scaling.finetuned", true)) {
        return reader.failure(ErrorCode::unsupported,
                              "the model has no rotary positions (NoPE), so its keys cannot be moved");
    }
    if (metadata.has(name + ".deepstack_mapping")) {
        return reader.failure(ErrorCode::unsupported, "models that see pictures are not supported");
    }
    return {};
}

// Granite's four multipliers; libllama takes 0 for absent, and reads none of them elsewhere.
void read_granite_scales(PrefixedReader& reader, Hyperparameters& hp) {
    const auto scale = [&reader](const char* key, float absent) {
        const float value = reader.f32(key, 0.0F);
        return value == 0.0F ? absent : value;
    };
    hp.attention_scale = scale("attention.scale", hp.attention_scale);
    hp.embedding_scale = scale("embedding_scale", 1.0F);
    hp.residual_scale = scale("residual_scale", 1.0F);
    hp.logit_scale = scale("logit_scale", 1.0F);
}

} // namespace

Result<Hyperparameters> read_hyperparameters(const Metadata& metadata) {
    PIE_ASSIGN(const std::string name, metadata.require_string("general.architecture"));
    Hyperparameters hp;
    PIE_ASSIGN(hp.architecture, find_architecture(name));
    PrefixedReader reader(metadata, name + ".");

    hp.n_layer = reader.count("block_count", n_layer_max);
    hp.n_embd = reader.count("embedding_length");
    hp.n_head = reader.count("attention.head_count");
    hp.n_head_kv = reader.u32("attention.head_count_kv", hp.n_head);
    hp.head_dim = reader.u32("attention.key_length", hp.n_embd / hp.n_head);
    hp.n_ctx_train = reader.count("context_length");
    hp.n_expert = reader.u32("expert_count", 0);
    hp.n_expert_used = reader.u32("expert_used_count", 0);
    hp.norm_eps = hp.architecture->norm == NormKind::rms
                      ? reader.f32("attention.layer_norm_rms_epsilon", 0.0F)
                      : reader.f32("attention.layer_norm_epsilon", 0.0F);
    const int32_t value_length = reader.u32("attention.value_length", hp.n_embd / hp.n_head);
    hp.attention_scale = 1.0F / std::sqrt(static_cast<float>(hp.head_dim));
    if (name == "granite") {
        read_granite_scales(reader, hp);
    }
    PIE_TRY(check_features(reader, metadata, name));
    if (reader.error()) {
        return tl::unexpected(*reader.error());
    }
    PIE_TRY(check_shape(reader, hp, value_length));
    PIE_ASSIGN(hp.rope, read_rope(reader, hp));
    if (reader.error()) {
        return tl::unexpected(*reader.error());
    }
    return hp;
}

} // namespace pie
