#pragma once

// Moving cached keys: each row of a key tensor holds the keys of one token, n_head_kv heads of head_dim
// elements; turning every pair of every head by delta * frequency(pair) makes it the key of the same token
// `delta` positions further on (PIE, arXiv 2407.03157, section 3, equation for R(i + m - j)). Values carry no
// position.
//
// Two paths with one meaning: host memory through SIMD kernels chosen at run time (Highway), any other
// backend through a ggml graph. Both rotate in place and touch nothing but the rows named.
//
// Thread rule: RotationTable is immutable; rotate_rows may run in several threads on disjoint rows.

#include "model/rope.h"

#include <pie/types.h>

#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pie {

// Key types that rotate_rows and build_rotation take: f32, f16, bf16, q8_0, q4_0.
bool can_rotate(ggml_type type);

// What turns a head by delta positions, shared by all layers: one table per distinct delta. Element i of the
// rotated part becomes own[i] * itself + partner[i] * its partner, so own holds the pair's cosine twice and
// partner its sine, negative at the first of the pair.
class RotationTable {
  public:
    RotationTable(const RopeParams& params, int32_t delta);

    RopeLayout layout() const { return layout_; }
    int32_t head_dim() const { return head_dim_; }
    int32_t delta() const { return delta_; }
    std::span<const float> own() const { return own_; }         // n_rot values
    std::span<const float> partner() const { return partner_; } // n_rot values

  private:
    RopeLayout layout_;
    int32_t head_dim_;
    int32_t delta_;
    std::vector<float> own_;
    std::vector<float> partner_;
};

// The key tensor of one layer in host memory.
struct KeyRows {
    std::byte* data = nullptr;
    ggml_type type = GGML_TYPE_F16;
    int32_t n_head_kv = 0;
    size_t row_bytes = 0; // from one token's row to the next
};

// Rotates the named rows in place. head_dim must be a multiple of the type's block size. What the rotation
// leaves alone keeps its bits, except that a quantised block which holds rotated elements too is rounded as a
// whole.
void rotate_rows(const KeyRows& keys, std::span<const CellIndex> rows, const RotationTable& table);

// The same as nodes of a ggml graph, for backends whose memory the host cannot reach. `keys` is one layer's
// tensor [n_head_kv * head_dim, n_cells]; `rows` i32 [n], each cell at most once; `deltas` i32 [n];
// `freq_factors` f32 [n_rot / 2], or null where params has none. The result is the set_rows node; expand it
// into the graph.
ggml_tensor* build_rotation(ggml_context* context, ggml_tensor* keys, ggml_tensor* rows, ggml_tensor* deltas,
                            ggml_tensor* freq_factors, const RopeParams& params);

} // namespace pie
