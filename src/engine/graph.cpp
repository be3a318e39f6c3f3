#include "engine/graph.h"

#include "engine/packed_product.h"
#include "model/packed_matrix.h"

#include <cmath>
#include <string>

namespace pie {
namespace {

constexpr float expert_weight_sum_min = 6.103515625e-5F; // the smallest normal f16, as libllama clamps

AttentionShape attention_shape(const Hyperparameters& hp) {
    return {hp.n_head, hp.n_head_kv, hp.head_dim, hp.attention_scale};
}

class GraphBuilder {
  public:
    GraphBuilder(const LoadedModel& model, const KvCache& cache, const BatchShape& shape)
        : model_(model), hp_(model.hparams()), cache_(cache), shape_(shape) {}

    Graph build();

  private:
    ggml_tensor* input(ggml_type type, int64_t ne0, int64_t ne1 = 1);
    ggml_tensor* weight(int32_t layer, const char* name) const { return model_.layer_tensor(layer, name); }
    ggml_tensor* norm(ggml_tensor* x, ggml_tensor* scale, ggml_tensor* bias);
    ggml_tensor* product(ggml_tensor* matrix, ggml_tensor* x);
    ggml_tensor* multiply(ggml_tensor* matrix, ggml_tensor* x);
    ggml_tensor* linear(ggml_tensor* x, int32_t layer, const std::string& name);
    ggml_tensor* rope(ggml_tensor* x);
    ggml_tensor* heads(ggml_tensor* x, int32_t layer, int32_t n_head, const char* head_norm);
    ggml_tensor* cached(ggml_tensor* rows);
    bool attends_on_host(int32_t layer) const {
        return pie::attends_on_host(model_, cache_, layer, shape_.attention);
    }
    ggml_tensor* attention(ggml_tensor* x, int32_t layer);
    ggml_tensor* attend_by_graph(ggml_tensor* q, int32_t layer);
    void observe_attention(ggml_tensor* q, int32_t layer);
    ggml_tensor* feed_forward(ggml_tensor* x, int32_t layer);
    ggml_tensor* expert_weights(ggml_tensor* x, int32_t layer, ggml_tensor** chosen);
    ggml_tensor* experts(ggml_tensor* x, int32_t layer);
    ggml_tensor* scaled(ggml_tensor* x, float factor) {
        return factor == 1.0F ? x : ggml_scale(context_, x, factor);
    }
    void expand(ggml_tensor* node) { ggml_build_forward_expand(graph_.nodes, node); }

    const LoadedModel& model_;
    const Hyperparameters& hp_;
    const KvCache& cache_;
    BatchShape shape_;
    Graph graph_;
    ggml_context* context_ = nullptr;
    // The tokens last multiplied with a packed matrix: queries, keys and values are of the same.
    ggml_tensor* rounded_ = nullptr;
};

ggml_tensor* GraphBuilder::input(ggml_type type, int64_t ne0, int64_t ne1) {
    ggml_tensor* tensor = ggml_new_tensor_2d(context_, type, ne0, ne1);
    ggml_set_input(tensor);
    return tensor;
}

ggml_tensor* GraphBuilder::norm(ggml_tensor* x, ggml_tensor* scale, ggml_tensor* bias) {
    x = hp_.architecture->norm == NormKind::rms ? ggml_rms_norm(context_, x, hp_.norm_eps)
                                                : ggml_norm(context_, x, hp_.norm_eps);
    x = ggml_mul(context_, x, scale);
    return bias != nullptr ? ggml_add(context_, x, bias) : x;
}

// [n, n_tokens] -> [m, n_tokens]
ggml_tensor* GraphBuilder::product(ggml_tensor* matrix, ggml_tensor* x) {
    if (!is_packed(*matrix)) {
        return ggml_mul_mat(context_, matrix, x);
    }
    if (rounded_ == nullptr || !serves(*rounded_, *x, *matrix)) {
        rounded_ = build_rounded_tokens(context_, x, matrix);
    }
    return build_packed_product(context_, matrix, rounded_);
}

// The same, computed with tokens of zeros behind them where that makes it batch-invariant.
ggml_tensor* GraphBuilder::multiply(ggml_tensor* matrix, ggml_tensor* x) {
    const int64_t n_tokens = x->ne[1];
    const int64_t n_padded =
        shape_.products == nullptr ? n_tokens : shape_.products->padded(*matrix, n_tokens);
    if (n_padded == n_tokens) {
        return product(matrix, x);
    }
    x = ggml_pad(context_, x, 0, static_cast<int>(n_padded - n_tokens), 0, 0);
    x = ggml_mul_mat(context_, matrix, x);
    return ggml_view_2d(context_, x, x->ne[0], n_tokens, x->nb[1], 0);
}

ggml_tensor* GraphBuilder::linear(ggml_tensor* x, int32_t layer, const std::string& name) {
    x = multiply(weight(layer, (name + ".weight").c_str()), x);
    ggml_tensor* bias = weight(layer, (name + ".bias").c_str());
    return bias != nullptr ? ggml_add(context_, x, bias) : x;
}

ggml_tensor* GraphBuilder::rope(ggml_tensor* x) {
    const RopeParams& r = hp_.rope;
    const int mode = r.layout == RopeLayout::neox ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;
    return ggml_rope_ext(context_, x, graph_.positions, model_.tensor("rope_freqs.weight"), r.n_rot, mode,
                         r.n_ctx_orig, r.freq_base, r.freq_scale, r.ext_factor, r.attn_factor, r.beta_fast,
                         r.beta_slow);
}

// [n_head * head_dim, n_tokens] -> [head_dim, n_head, n_tokens], normalised per head where the model does,
// rotated.
ggml_tensor* GraphBuilder::heads(ggml_tensor* x, int32_t layer, int32_t n_head, const char* head_norm) {
    x = ggml_reshape_3d(context_, x, hp_.head_dim, n_head, shape_.n_tokens);
    if (ggml_tensor* scale = weight(layer, head_norm); scale != nullptr) {
        x = norm(x, scale, nullptr);
    }
    return rope(x);
}

// The rows that attention reads, as [head_dim, n_kv, n_head_kv].
ggml_tensor* GraphBuilder::cached(ggml_tensor* rows) {
    const size_t row_bytes = ggml_row_size(rows->type, hp_.n_embd_kv());
    const size_t head_bytes = ggml_row_size(rows->type, hp_.head_dim);
    ggml_tensor* view =
        ggml_view_3d(context_, rows, hp_.head_dim, shape_.n_kv, hp_.n_head_kv, row_bytes, head_bytes, 0);
    // Flash attention takes no f32 rows; libllama casts them as well.
    return rows->type == GGML_TYPE_F32 ? ggml_cast(context_, view, GGML_TYPE_F16) : view;
}

ggml_tensor* GraphBuilder::attention(ggml_tensor* x, int32_t layer) {
    ggml_tensor* q = heads(linear(x, layer, "attn_q"), layer, hp_.n_head, "attn_q_norm.weight");
    ggml_tensor* k = heads(linear(x, layer, "attn_k"), layer, hp_.n_head_kv, "attn_k_norm.weight");
    ggml_tensor* v = linear(x, layer, "attn_v");
    expand(q);
    expand(k);
    expand(v);
    // The writes have no reader in the graph's eyes, so they are expanded before attention reads the same
    // rows.
    k = ggml_reshape_2d(context_, k, hp_.n_embd_kv(), shape_.n_tokens);
    expand(ggml_set_rows(context_, cache_.keys(layer), k, graph_.cells));
    expand(ggml_set_rows(context_, cache_.values(layer), v, graph_.cells));

    if (shape_.observed.has(layer)) {
        observe_attention(ggml_permute(context_, q, 0, 2, 1, 3), layer);
    }
    ggml_tensor* mixed = attends_on_host(layer)
                             ? build_attention(context_,
                                               {q, cache_.keys(layer), cache_.values(layer), graph_.positions,
                                                graph_.branches, graph_.order},
                                               graph_.attention_shape.get())
                             : attend_by_graph(q, layer);
    expand(mixed);
    return linear(mixed, layer, "attn_output");
}

// `q` [head_dim, n_head, n_tokens] -> [head_dim * n_head, n_tokens]
ggml_tensor* GraphBuilder::attend_by_graph(ggml_tensor* q, int32_t layer) {
    ggml_tensor* mixed =
        ggml_flash_attn_ext(context_, ggml_permute(context_, q, 0, 2, 1, 3), cached(cache_.keys(layer)),
                            cached(cache_.values(layer)), graph_.mask, hp_.attention_scale, 0.0F, 0.0F);
    ggml_prec_set_acc(mixed, GGML_PREC_F32);
    return ggml_reshape_2d(context_, mixed, static_cast<int64_t>(hp_.head_dim) * hp_.n_head, shape_.n_tokens);
}

// Flash attention keeps no weights, so those of the last token are computed beside it: one product of the
// keys with one query. `q` [head_dim, n_tokens, n_head].
void GraphBuilder::observe_attention(ggml_tensor* q, int32_t layer) {
    const auto last = static_cast<size_t>(shape_.n_tokens - 1);
    ggml_tensor* query =
        ggml_view_3d(context_, q, hp_.head_dim, 1, hp_.n_head, q->nb[1], q->nb[2], last * q->nb[1]);
    ggml_tensor* mask =
        ggml_view_2d(context_, graph_.mask, shape_.n_kv, 1, graph_.mask->nb[1], last * graph_.mask->nb[1]);
    ggml_tensor* weights = ggml_mul_mat(context_, cached(cache_.keys(layer)), query);
    weights = ggml_soft_max_ext(context_, weights, mask, hp_.attention_scale, 0.0F);
    weights = ggml_reshape_2d(context_, weights, shape_.n_kv, hp_.n_head);
    ggml_tensor* sum = ggml_sum_rows(context_, ggml_cont(context_, ggml_transpose(context_, weights)));
    graph_.attention = graph_.attention == nullptr ? sum : ggml_add(context_, graph_.attention, sum);
    expand(graph_.attention);
}

ggml_tensor* GraphBuilder::feed_forward(ggml_tensor* x, int32_t layer) {
    if (weight(layer, "ffn_gate_inp.weight") != nullptr) {
        return experts(x, layer);
    }
    ggml_tensor* up = linear(x, layer, "ffn_up");
    ggml_tensor* inner = hp_.architecture->ffn == FfnKind::swiglu
                             ? ggml_swiglu_split(context_, linear(x, layer, "ffn_gate"), up)
                             : ggml_gelu(context_, up);
    return linear(inner, layer, "ffn_down");
}

// Softmax over all experts, the best n_expert_used of them, their weights brought to a sum of one:
// [1, n_expert_used, n_tokens]. `chosen` receives the experts' numbers, [n_expert_used, n_tokens].
ggml_tensor* GraphBuilder::expert_weights(ggml_tensor* x, int32_t layer, ggml_tensor** chosen) {
    const int64_t n_tokens = x->ne[1];
    ggml_tensor* probabilities =
        ggml_soft_max(context_, ggml_mul_mat(context_, weight(layer, "ffn_gate_inp.weight"), x));
    *chosen = ggml_argsort_top_k(context_, probabilities, hp_.n_expert_used);
    probabilities = ggml_reshape_3d(context_, probabilities, 1, hp_.n_expert, n_tokens);
    ggml_tensor* weights = ggml_get_rows(context_, probabilities, *chosen);
    weights = ggml_reshape_2d(context_, weights, hp_.n_expert_used, n_tokens);
    ggml_tensor* sum =
        ggml_clamp(context_, ggml_sum_rows(context_, weights), expert_weight_sum_min, INFINITY);
    weights = ggml_div(context_, weights, sum);
    return ggml_reshape_3d(context_, weights, 1, hp_.n_expert_used, n_tokens);
}

ggml_tensor* GraphBuilder::experts(ggml_tensor* x, int32_t layer) {
    const int64_t n_tokens = x->ne[1];
    ggml_tensor* chosen = nullptr;
    ggml_tensor* weights = expert_weights(x, layer, &chosen);
    expand(weights);
    x = ggml_reshape_3d(context_, x, hp_.n_embd, 1, n_tokens);
    ggml_tensor* up = ggml_mul_mat_id(context_, weight(layer, "ffn_up_exps.weight"), x, chosen);
    ggml_tensor* gate = ggml_mul_mat_id(context_, weight(layer, "ffn_gate_exps.weight"), x, chosen);
    ggml_tensor* out = ggml_mul_mat_id(context_, weight(layer, "ffn_down_exps.weight"),
                                       ggml_swiglu_split(context_, gate, up), chosen);
    out = ggml_mul(context_, out, weights); // [n_embd, n_expert_used, n_tokens]
    expand(out);
    const auto slice = [&](int32_t i) {
        return ggml_view_2d(context_, out, hp_.n_embd, n_tokens, out->nb[2],
                            static_cast<size_t>(i) * out->nb[1]);
    };
    ggml_tensor* sum = slice(0);
    for (int32_t i = 1; i < hp_.n_expert_used; ++i) {
        sum = ggml_add(context_, sum, slice(i));
    }
    return hp_.n_expert_used == 1 ? ggml_cont(context_, sum) : sum;
}

Graph GraphBuilder::build() {
    const size_t nodes_max = graph_nodes_max(model_);
    const size_t bytes = ggml_tensor_overhead() * nodes_max + ggml_graph_overhead_custom(nodes_max, false);
    graph_.context.reset(ggml_init({bytes, nullptr, true}));
    context_ = graph_.context.get();
    graph_.nodes = ggml_new_graph_custom(context_, nodes_max, false);
    graph_.tokens = input(GGML_TYPE_I32, shape_.n_tokens);
    graph_.positions = input(GGML_TYPE_I32, shape_.n_tokens);
    graph_.cells = input(GGML_TYPE_I64, shape_.n_tokens);
    bool by_graph = !shape_.observed.empty();
    bool on_host = false;
    for (int32_t layer = 0; layer < hp_.n_layer; ++layer) {
        (attends_on_host(layer) ? on_host : by_graph) = true;
    }
    if (by_graph) {
        graph_.mask = input(GGML_TYPE_F16, shape_.n_kv, shape_.n_tokens);
    }
    if (on_host) {
        graph_.order = input(GGML_TYPE_I32, shape_.n_kv, shape_.n_branches);
        graph_.branches = input(GGML_TYPE_I32, shape_.n_tokens);
        graph_.attention_shape = std::make_unique<AttentionShape>(attention_shape(hp_));
    }
    if (shape_.n_outputs > 0) {
        graph_.outputs = input(GGML_TYPE_I32, shape_.n_outputs);
    }

    ggml_tensor* embeddings = model_.tensor("token_embd.weight");
    ggml_tensor* x = scaled(ggml_get_rows(context_, embeddings, graph_.tokens), hp_.embedding_scale);
    expand(x);
    for (int32_t layer = 0; layer < hp_.n_layer; ++layer) {
        ggml_tensor* normed = norm(x, weight(layer, "attn_norm.weight"), weight(layer, "attn_norm.bias"));
        ggml_tensor* attended = attention(normed, layer);
        if (layer == hp_.n_layer - 1) {
            if (graph_.outputs == nullptr) {
                return std::move(graph_); // all keys and values are written
            }
            // Behind the last attention only the asked-for tokens matter.
            attended = ggml_get_rows(context_, attended, graph_.outputs);
            x = ggml_get_rows(context_, x, graph_.outputs);
        }
        ggml_tensor* middle = ggml_add(context_, scaled(attended, hp_.residual_scale), x);
        normed = norm(middle, weight(layer, "ffn_norm.weight"), weight(layer, "ffn_norm.bias"));
        x = ggml_add(context_, scaled(feed_forward(normed, layer), hp_.residual_scale), middle);
    }
    x = norm(x, model_.tensor("output_norm.weight"), model_.tensor("output_norm.bias"));
    x = multiply(model_.output_matrix(), x);
    if (ggml_tensor* bias = model_.tensor("output.bias"); bias != nullptr) {
        x = ggml_add(context_, x, bias);
    }
    graph_.logits = scaled(x, 1.0F / hp_.logit_scale);
    ggml_set_output(graph_.logits);
    expand(graph_.logits);
    if (graph_.attention != nullptr) {
        ggml_set_output(graph_.attention);
    }
    return std::move(graph_);
}

} // namespace

size_t graph_nodes_max(const LoadedModel& model) {
    // 80 tensors a layer cover every architecture, its observation and its padded products; an expert adds a
    // view and a sum.
    const auto per_layer = static_cast<size_t>(80 + 2 * model.hparams().n_expert_used);
    return static_cast<size_t>(model.hparams().n_layer) * per_layer + 64;
}

bool attends_on_host(const LoadedModel& model, const KvCache& cache, int32_t layer, KernelPath path) {
    const ggml_tensor* keys = cache.keys(layer);
    return path == KernelPath::host_first && ggml_backend_buffer_is_host(keys->buffer) &&
           can_attend(attention_shape(model.hparams()), keys->type, cache.values(layer)->type);
}

Graph build_graph(const LoadedModel& model, const KvCache& cache, const BatchShape& shape) {
    return GraphBuilder(model, cache, shape).build();
}

} // namespace pie
