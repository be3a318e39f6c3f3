// Attention as operators of a ggml graph.

#include "engine/attention.h"

#include <algorithm>
#include <array>
#include <vector>

namespace pie {
namespace {

// Neighbours in a batch that are of one branch: a job of their own.
struct Neighbours {
    int32_t begin = 0; // in the batch
    std::span<const Position> positions;
    std::span<const CellIndex> cells;
};

template <typename T>
std::span<const T> values_of(const ggml_tensor* tensor) {
    return {static_cast<const T*>(tensor->data), static_cast<size_t>(ggml_nelements(tensor))};
}

std::vector<Neighbours> neighbours(const ggml_tensor* positions, const ggml_tensor* branches,
                                   const ggml_tensor* order) {
    const auto branch_of = values_of<int32_t>(branches);
    std::vector<Neighbours> all;
    for (size_t begin = 0; begin < branch_of.size();) {
        const auto end = std::ranges::find_if(branch_of.subspan(begin),
                                              [&](int32_t branch) { return branch != branch_of[begin]; });
        const auto n = static_cast<size_t>(end - branch_of.begin()) - begin;
        const auto n_kv = static_cast<size_t>(order->ne[0]);
        all.push_back(
            {static_cast<int32_t>(begin), values_of<Position>(positions).subspan(begin, n),
             values_of<CellIndex>(order).subspan(static_cast<size_t>(branch_of[begin]) * n_kv, n_kv)});
        begin += n;
    }
    return all;
}

CachedRows cached_rows(const ggml_tensor* rows) {
    return {static_cast<const std::byte*>(rows->data), rows->type, rows->nb[1]};
}

// Where in the first operator's result a job's parts begin.
size_t partial_begin(const AttentionShape& shape, const Neighbours& tokens) {
    return attention_partial_floats(shape, tokens.begin, static_cast<int32_t>(tokens.cells.size()));
}

// As ggml calls an operator: on each of `nth` threads, with the arguments that build_attention gives it.
void attend_share(ggml_tensor* partial, int ith, int nth, void* userdata) {
    const auto& shape = *static_cast<const AttentionShape*>(userdata);
    for (const Neighbours& tokens : neighbours(partial->src[3], partial->src[4], partial->src[5])) {
        const AttentionJob job{.shape = shape,
                               .queries = static_cast<const float*>(partial->src[0]->data) +
                                          int64_t{tokens.begin} * shape.n_head * shape.head_dim,
                               .keys = cached_rows(partial->src[1]),
                               .values = cached_rows(partial->src[2]),
                               .positions = tokens.positions,
                               .cells = tokens.cells};
        float* parts = static_cast<float*>(partial->data) + partial_begin(shape, tokens);
        const int32_t n_parts = attention_parts(shape, tokens.positions.back().value + 1);
        for (int32_t part = ith; part < n_parts; part += nth) {
            attend(job, part, parts);
        }
    }
}

void combine_share(ggml_tensor* mixed, int ith, int nth, void* userdata) {
    const auto& shape = *static_cast<const AttentionShape*>(userdata);
    for (const Neighbours& tokens : neighbours(mixed->src[1], mixed->src[2], mixed->src[3])) {
        const auto n = static_cast<int32_t>(tokens.positions.size());
        combine_attention(shape, tokens.positions,
                          static_cast<const float*>(mixed->src[0]->data) + partial_begin(shape, tokens),
                          n * ith / nth, n * (ith + 1) / nth,
                          static_cast<float*>(mixed->data) +
                              int64_t{tokens.begin} * shape.n_head * shape.head_dim);
    }
}

} // namespace

ggml_tensor* build_attention(ggml_context* context, const AttentionInputs& inputs, AttentionShape* shape) {
    const int64_t n_tokens = inputs.queries->ne[2];
    const auto n_kv = static_cast<int32_t>(inputs.order->ne[0]);
    const auto n_floats =
        static_cast<int64_t>(attention_partial_floats(*shape, static_cast<int32_t>(n_tokens), n_kv));
    std::array all = {inputs.queries,   inputs.keys,     inputs.values,
                      inputs.positions, inputs.branches, inputs.order};
    ggml_tensor* partial = ggml_custom_4d(context, GGML_TYPE_F32, n_floats, 1, 1, 1, all.data(), all.size(),
                                          attend_share, GGML_N_TASKS_MAX, shape);
    std::array parts = {partial, inputs.positions, inputs.branches, inputs.order};
    return ggml_custom_4d(context, GGML_TYPE_F32, int64_t{shape->head_dim} * shape->n_head, n_tokens, 1, 1,
                          parts.data(), parts.size(), combine_share, GGML_N_TASKS_MAX, shape);
}

} // namespace pie
