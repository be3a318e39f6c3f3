#include "base/check.h"
#include "cache/rotation.h"

namespace pie {

ggml_tensor* build_rotation(ggml_context* context, ggml_tensor* keys, ggml_tensor* rows, ggml_tensor* deltas,
                            ggml_tensor* freq_factors, const RopeParams& params) {
    PIE_CHECK(can_rotate(keys->type), "the cache holds only key types that it can rotate");
    PIE_CHECK(keys->ne[0] % params.head_dim == 0, "a row holds whole heads");
    PIE_CHECK((freq_factors == nullptr) == params.freq_factors.empty(),
              "the tensor carries the params' factors");
    const int64_t n_head = keys->ne[0] / params.head_dim;
    const int64_t n_rows = rows->ne[0];

    // ggml's operator multiplies by attn_factor and, under YaRN, by a magnitude of its own. The key carries
    // both since it was made; a factor of 1 / magnitude leaves the rotation alone.
    const float attn_factor = 1.0F / rope_yarn_magnitude(params);
    const int mode = params.layout == RopeLayout::neox ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;

    ggml_tensor* heads = ggml_get_rows(context, keys, rows); // f32 [n_head * head_dim, n_rows]
    heads = ggml_reshape_3d(context, heads, params.head_dim, n_head, n_rows);
    heads = ggml_rope_ext(context, heads, deltas, freq_factors, params.n_rot, mode, params.n_ctx_orig,
                          params.freq_base, params.freq_scale, params.ext_factor, attn_factor,
                          params.beta_fast, params.beta_slow);
    return ggml_set_rows(context, keys, ggml_reshape_2d(context, heads, keys->ne[0], n_rows), rows);
}

} // namespace pie
