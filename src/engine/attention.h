#pragma once

// Attention of a few tokens over a cache whose rows lie in any order, on the host: what an edit and a decode
// step are made of. ggml's own kernel for batches of less than 64 tokens takes queries one by one, converts
// each key anew for each of them and sums values in half precision; this one converts a block of keys and
// values once for all queries of all heads that share them, sums in single precision, and reads what a token
// may look at, in the order of positions, and nothing else. docs/lab/performance.md has the figures.
//
// It is shared out twice: first by parts of the positions, then, to put those together, by tokens. Sums are
// cut at the same positions whatever the batch and the number of threads.
//
// Thread rule: pure functions on their job; the parts and the tokens of one job may run beside each other.

#include <pie/types.h>

#include <ggml.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace pie {

struct AttentionShape {
    int32_t n_head = 0;
    int32_t n_head_kv = 0; // n_head is a multiple of it
    int32_t head_dim = 0;
    float scale = 0; // of products of queries and keys

    int32_t group() const { return n_head / n_head_kv; } // heads that share keys
};

// Rows of a key or value cache: [n_cells][n_head_kv][head_dim].
struct CachedRows {
    const std::byte* data = nullptr;
    ggml_type type = GGML_TYPE_F16;
    size_t row_bytes = 0;
};

struct AttentionJob {
    AttentionShape shape;
    const float* queries = nullptr; // [n_tokens][n_head][head_dim], rotated
    CachedRows keys;
    CachedRows values;
    std::span<const Position> positions; // of the tokens, ascending: each sees all positions up to its own
    std::span<const CellIndex> cells;    // by position, up to the last token's at least
};

constexpr int32_t attention_part_positions = 1024;
constexpr int32_t attention_head_dim_max = 256; // so that a block of cells fits on a thread's stack

// f32, f16 and bf16 rows, and heads of a multiple of 16 elements; q8_0 and q4_0 rows where their blocks
// divide the head.
bool can_attend(const AttentionShape& shape, ggml_type keys, ggml_type values);

// A part is one key head and some positions. A batch of `n_tokens` over `n_positions` has so many of them,
// and as many floats of what they leave.
int32_t attention_parts(const AttentionShape& shape, int32_t n_positions);
size_t attention_partial_floats(const AttentionShape& shape, int32_t n_tokens, int32_t n_positions);

// Of part 0 to attention_parts(positions.back() + 1) - 1.
void attend(const AttentionJob& job, int32_t part, float* partial);

// What all parts left, put together for the tokens from `begin` to `end`: mixed [n_tokens][n_head][head_dim].
void combine_attention(const AttentionShape& shape, std::span<const Position> positions, const float* partial,
                       int32_t begin, int32_t end, float* mixed);

// Tensors of a graph, all on the host.
struct AttentionInputs {
    ggml_tensor* queries = nullptr; // f32 [head_dim, n_head, n_tokens], contiguous
    ggml_tensor* keys = nullptr;    // [n_embd_kv, n_cells]
    ggml_tensor* values = nullptr;  // [n_embd_kv, n_cells]
    ggml_tensor* positions =
        nullptr; // i32 [n_tokens], ascending where tokens of one branch stand side by side
    ggml_tensor* branches = nullptr; // i32 [n_tokens], rows of `order`
    ggml_tensor* order = nullptr;    // i32 [n_kv, n_branches], cells by position
};

// The same as operators of a graph: [n_head * head_dim, n_tokens]. `shape` outlives the graph.
ggml_tensor* build_attention(ggml_context* context, const AttentionInputs& inputs, AttentionShape* shape);

} // namespace pie
