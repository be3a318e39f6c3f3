// This file is compiled once for every instruction set that Highway knows on this architecture; HWY_NAMESPACE
// and the vector types differ each time. The last pass also compiles what stands under HWY_ONCE.
//
// Online softmax (Milakov and Gimelshein, arXiv 1805.02867; as flash attention uses it, arXiv 2205.14135)
// over blocks of 64 positions. A row is the query of one token and head. All rows that share a key head go
// through a block together: their products with its keys, then the exponentials, then the weighted sum of its
// values, both products as small matrix multiplications whose tiles stay in registers. Keys are transposed
// when they are converted, so that both run along a block's memory.
//
// Tokens ascend, so the rows that see a block at all are the last ones; of those only the ones whose own
// position lies inside it see a part of it.

#include "engine/attention.h"

// Highway 1.0 narrows to bytes wrongly for the first; arrays of vectors need a size that is known here.
#define HWY_DISABLED_TARGETS (HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/attention_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "cache/elements_inl.h"
// clang-format on

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::CappedTag<float, 16>; // head_dim is a multiple of 16
using Quad = hn::CappedTag<float, 4>;

constexpr size_t block = 64;    // positions; a part has several
constexpr size_t tile_rows = 6; // with two vectors a row, twelve sums: sixteen registers suffice
constexpr size_t part_positions = attention_part_positions;
constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

template <class Format>
HWY_INLINE const typename Format::Lane* head_of(const CachedRows& rows, CellIndex cell, size_t offset) {
    return reinterpret_cast<const typename Format::Lane*>(rows.data +
                                                          static_cast<size_t>(cell.value) * rows.row_bytes) +
           offset;
}

// Heads of at most `block` cells as columns: out[head_dim][block]. Columns beyond stay as they are.
template <class Format>
HWY_INLINE void load_transposed(const CachedRows& rows, std::span<const CellIndex> cells, size_t offset,
                                size_t head_dim, float* HWY_RESTRICT out) {
    size_t i = 0;
#if HWY_TARGET != HWY_SCALAR // whose vectors hold no neighbours
    const Quad d;
    const hn::RepartitionToWide<Quad> wide;
    for (; i + 4 <= cells.size(); i += 4) {
        const auto* a = head_of<Format>(rows, cells[i], offset);
        const auto* b = head_of<Format>(rows, cells[i + 1], offset);
        const auto* c = head_of<Format>(rows, cells[i + 2], offset);
        const auto* e = head_of<Format>(rows, cells[i + 3], offset);
        for (size_t j = 0; j < head_dim; j += 4) {
            const auto va = Format::load(d, a + j);
            const auto vb = Format::load(d, b + j);
            const auto vc = Format::load(d, c + j);
            const auto ve = Format::load(d, e + j);
            const auto ab_low = hn::BitCast(wide, hn::InterleaveLower(d, va, vb));
            const auto ab_high = hn::BitCast(wide, hn::InterleaveUpper(d, va, vb));
            const auto ce_low = hn::BitCast(wide, hn::InterleaveLower(d, vc, ve));
            const auto ce_high = hn::BitCast(wide, hn::InterleaveUpper(d, vc, ve));
            float* column = out + j * block + i;
            hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_low, ce_low)), d, column);
            hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_low, ce_low)), d, column + block);
            hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, ab_high, ce_high)), d, column + 2 * block);
            hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, ab_high, ce_high)), d, column + 3 * block);
        }
    }
#endif
    const hn::CappedTag<float, 1> one;
    for (; i < cells.size(); ++i) {
        const auto* head = head_of<Format>(rows, cells[i], offset);
        for (size_t j = 0; j < head_dim; ++j) {
            hn::StoreU(Format::load(one, head + j), one, out + j * block + i);
        }
    }
}

// Heads of cells as rows: out[cells.size()][head_dim].
template <class Format>
HWY_INLINE void load_rows(const CachedRows& rows, std::span<const CellIndex> cells, size_t offset,
                          size_t head_dim, float* HWY_RESTRICT out) {
    const Lanes d;
    for (const CellIndex cell : cells) {
        const auto* head = head_of<Format>(rows, cell, offset);
        for (size_t j = 0; j < head_dim; j += hn::Lanes(d)) {
            hn::StoreU(Format::load(d, head + j), d, out + j);
        }
        out += head_dim;
    }
}

// c[n_rows][vectors] += a[n_rows][n_inner] * b[n_inner][vectors], rows wherever they are.
template <size_t n_rows, size_t n_vectors>
HWY_INLINE void multiply_tile(const float* const* a, size_t n_inner, const float* HWY_RESTRICT b,
                              size_t b_width, float* const* c, size_t column) {
    const Lanes d;
    const size_t n_lanes = hn::Lanes(d);
    hn::Vec<Lanes> sums[n_rows][n_vectors];
    for (size_t r = 0; r < n_rows; ++r) {
        for (size_t v = 0; v < n_vectors; ++v) {
            sums[r][v] = hn::LoadU(d, c[r] + column + v * n_lanes);
        }
    }
    const float* b_row = b + column;
    for (size_t k = 0; k < n_inner; ++k, b_row += b_width) {
        hn::Vec<Lanes> factors[n_vectors];
        for (size_t v = 0; v < n_vectors; ++v) {
            factors[v] = hn::LoadU(d, b_row + v * n_lanes);
        }
        for (size_t r = 0; r < n_rows; ++r) {
            const auto factor = hn::Set(d, a[r][k]);
            for (size_t v = 0; v < n_vectors; ++v) {
                sums[r][v] = hn::MulAdd(factor, factors[v], sums[r][v]);
            }
        }
    }
    for (size_t r = 0; r < n_rows; ++r) {
        for (size_t v = 0; v < n_vectors; ++v) {
            hn::StoreU(sums[r][v], d, c[r] + column + v * n_lanes);
        }
    }
}

template <size_t n_rows>
HWY_INLINE void multiply_rows(const float* const* a, size_t n_inner, const float* b, size_t b_width,
                              float* const* c) {
    const size_t n_lanes = hn::Lanes(Lanes());
    size_t column = 0;
    for (; column + 2 * n_lanes <= b_width; column += 2 * n_lanes) {
        multiply_tile<n_rows, 2>(a, n_inner, b, b_width, c, column);
    }
    if (column < b_width) {
        multiply_tile<n_rows, 1>(a, n_inner, b, b_width, c, column);
    }
}

// Of at most `tile_rows` rows.
HWY_INLINE void multiply(size_t n_rows, const float* const* a, size_t n_inner, const float* b, size_t b_width,
                         float* const* c) {
    switch (n_rows) {
    case 1:
        return multiply_rows<1>(a, n_inner, b, b_width, c);
    case 2:
        return multiply_rows<2>(a, n_inner, b, b_width, c);
    case 3:
        return multiply_rows<3>(a, n_inner, b, b_width, c);
    case 4:
        return multiply_rows<4>(a, n_inner, b, b_width, c);
    case 5:
        return multiply_rows<5>(a, n_inner, b, b_width, c);
    default:
        return multiply_rows<6>(a, n_inner, b, b_width, c);
    }
}

// What a row has gathered over the blocks so far.
struct RowState {
    float* sum = nullptr;     // [head_dim], of values, each times exp(score - largest)
    float* largest = nullptr; // score
    float* weight = nullptr;  // sum of exp(score - largest)
};

// Turns a row's products with a block's keys, of which it sees the first `n_seen`, into weights.
HWY_INLINE void weigh(float* HWY_RESTRICT scores, size_t n_seen, size_t head_dim, float scale,
                      const RowState& row) {
    const Lanes d;
    const size_t n_lanes = hn::Lanes(d);
    std::fill(scores + n_seen, scores + block, minus_infinity);
    auto maxima = hn::Set(d, minus_infinity);
    for (size_t i = 0; i < block; i += n_lanes) {
        const auto scaled = hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, scale));
        maxima = hn::Max(maxima, scaled);
        hn::StoreU(scaled, d, scores + i);
    }
    const float largest = hn::GetLane(hn::MaxOfLanes(d, maxima));
    if (largest > *row.largest) {
        const float shrink = std::exp(*row.largest - largest);
        *row.largest = largest;
        *row.weight *= shrink;
        for (size_t j = 0; j < head_dim; j += n_lanes) {
            hn::StoreU(hn::Mul(hn::LoadU(d, row.sum + j), hn::Set(d, shrink)), d, row.sum + j);
        }
    }
    auto weights = hn::Zero(d);
    for (size_t i = 0; i < block; i += n_lanes) {
        const auto weight = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + i), hn::Set(d, *row.largest)));
        weights = hn::Add(weights, weight);
        hn::StoreU(weight, d, scores + i);
    }
    *row.weight += hn::GetLane(hn::SumOfLanes(d, weights));
}

// The same of types whose elements share scales, block by block.
HWY_INLINE void load_quantized_rows(const CachedRows& rows, std::span<const CellIndex> cells, size_t offset,
                                    size_t head_dim, float* out) {
    const ggml_to_float_t to_floats = ggml_get_type_traits(rows.type)->to_float;
    const size_t head_begin = ggml_row_size(rows.type, static_cast<int64_t>(offset));
    for (const CellIndex cell : cells) {
        to_floats(rows.data + static_cast<size_t>(cell.value) * rows.row_bytes + head_begin, out,
                  static_cast<int64_t>(head_dim));
        out += head_dim;
    }
}

constexpr std::array<CellIndex, block> first_cells = [] {
    std::array<CellIndex, block> cells{};
    for (size_t i = 0; i < block; ++i) {
        cells[i] = CellIndex(static_cast<int32_t>(i));
    }
    return cells;
}();

// `scratch` has room for the block as rows.
HWY_INLINE void load_keys(const CachedRows& rows, std::span<const CellIndex> cells, size_t offset,
                          size_t head_dim, float* scratch, float* keys) {
    switch (rows.type) {
    case GGML_TYPE_F32:
        return load_transposed<F32>(rows, cells, offset, head_dim, keys);
    case GGML_TYPE_BF16:
        return load_transposed<BF16>(rows, cells, offset, head_dim, keys);
    case GGML_TYPE_F16:
        return load_transposed<F16>(rows, cells, offset, head_dim, keys);
    default:
        load_quantized_rows(rows, cells, offset, head_dim, scratch);
        load_transposed<F32>(
            {reinterpret_cast<const std::byte*>(scratch), GGML_TYPE_F32, head_dim * sizeof(float)},
            std::span(first_cells).first(cells.size()), 0, head_dim, keys);
    }
}

HWY_INLINE void load_values(const CachedRows& rows, std::span<const CellIndex> cells, size_t offset,
                            size_t head_dim, float* values) {
    switch (rows.type) {
    case GGML_TYPE_F32:
        return load_rows<F32>(rows, cells, offset, head_dim, values);
    case GGML_TYPE_BF16:
        return load_rows<BF16>(rows, cells, offset, head_dim, values);
    case GGML_TYPE_F16:
        return load_rows<F16>(rows, cells, offset, head_dim, values);
    default:
        return load_quantized_rows(rows, cells, offset, head_dim, values);
    }
}

// The values come last: where they go is the scratch for keys.
HWY_INLINE void load_block(const AttentionJob& job, size_t head_kv, std::span<const CellIndex> cells,
                           float* keys, float* values) {
    const auto head_dim = static_cast<size_t>(job.shape.head_dim);
    const size_t offset = head_kv * head_dim;
    load_keys(job.keys, cells, offset, head_dim, values, keys);
    load_values(job.values, cells, offset, head_dim, values);
}

// One part of a job: the rows of one key head, over some positions.
struct Part {
    const AttentionJob& job;
    size_t head_kv = 0;
    size_t begin = 0; // positions
    size_t end = 0;
    float* rows = nullptr;

    size_t head_dim() const { return static_cast<size_t>(job.shape.head_dim); }
    size_t group() const { return static_cast<size_t>(job.shape.group()); }
    size_t n_rows() const { return job.positions.size() * group(); }
    size_t n_seen(size_t r) const { return static_cast<size_t>(job.positions[r / group()].value) + 1; }
    const float* query(size_t r) const {
        const size_t head = head_kv * group() + r % group();
        return job.queries + (r / group() * static_cast<size_t>(job.shape.n_head) + head) * head_dim();
    }
    RowState state(size_t r) const {
        float* row = rows + r * (head_dim() + 2);
        return {row, row + head_dim(), row + head_dim() + 1};
    }
};

// Rows from `first` to `last`, at most `tile_rows`, over a block of `n_cells` from position `at` on.
HWY_INLINE void attend_tile(const Part& part, size_t first, size_t last, size_t at, size_t n_cells,
                            const float* keys, const float* values) {
    HWY_ALIGN std::array<float, tile_rows * block> scores;
    std::array<const float*, tile_rows> queries = {};
    std::array<const float*, tile_rows> weights = {};
    std::array<float*, tile_rows> products = {};
    std::array<float*, tile_rows> sums = {};
    const size_t n = last - first;
    for (size_t i = 0; i < n; ++i) {
        queries[i] = part.query(first + i);
        weights[i] = products[i] = scores.data() + i * block;
        sums[i] = part.state(first + i).sum;
    }
    std::fill_n(scores.data(), n * block, 0.0F);
    multiply(n, queries.data(), part.head_dim(), keys, block, products.data());
    for (size_t i = 0; i < n; ++i) {
        weigh(products[i], std::min(n_cells, part.n_seen(first + i) - at), part.head_dim(),
              part.job.shape.scale, part.state(first + i));
    }
    multiply(n, weights.data(), n_cells, values, part.head_dim(), sums.data());
}

// So many rows that their queries and sums stay near while block after block goes by.
HWY_INLINE void attend_rows(const Part& part, size_t first, size_t last) {
    for (size_t r = first; r < last; ++r) {
        const RowState row = part.state(r);
        std::fill_n(row.sum, part.head_dim(), 0.0F);
        *row.largest = minus_infinity;
        *row.weight = 0;
    }
    HWY_ALIGN std::array<float, attention_head_dim_max * block> keys;
    HWY_ALIGN std::array<float, attention_head_dim_max * block> values;
    const size_t end = std::min(part.end, part.n_seen(last - 1));
    for (size_t at = part.begin; at < end; at += block) {
        while (part.n_seen(first) <= at) {
            ++first;
        }
        const size_t n_cells = std::min(block, end - at);
        load_block(part.job, part.head_kv, part.job.cells.subspan(at, n_cells), keys.data(), values.data());
        // Tiles of equal size as far as that goes: small ones leave the multipliers waiting.
        const size_t n_tiles = (last - first + tile_rows - 1) / tile_rows;
        for (size_t t = 0; t < n_tiles; ++t) {
            attend_tile(part, first + (last - first) * t / n_tiles,
                        first + (last - first) * (t + 1) / n_tiles, at, n_cells, keys.data(), values.data());
        }
    }
}

void attend_part(const AttentionJob& job, size_t index, float* partial) {
    Part part{.job = job};
    const auto n_head_kv = static_cast<size_t>(job.shape.n_head_kv);
    part.head_kv = index % n_head_kv;
    part.begin = index / n_head_kv * part_positions;
    part.end = part.begin + part_positions;
    part.rows = partial + index * part.n_rows() * (part.head_dim() + 2);
    constexpr size_t rows_at_once = 40 * tile_rows;
    for (size_t first = 0; first < part.n_rows(); first += rows_at_once) {
        attend_rows(part, first, std::min(first + rows_at_once, part.n_rows()));
    }
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace pie {
namespace {

bool can_read(ggml_type type, int32_t head_dim) {
    switch (type) {
    case GGML_TYPE_F32:
    case GGML_TYPE_F16:
    case GGML_TYPE_BF16:
        return true;
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_0:
        return head_dim % ggml_blck_size(type) == 0;
    default:
        return false;
    }
}

} // namespace

HWY_EXPORT(attend_part);

bool can_attend(const AttentionShape& shape, ggml_type keys, ggml_type values) {
    return can_read(keys, shape.head_dim) && can_read(values, shape.head_dim) && shape.head_dim % 16 == 0 &&
           shape.head_dim <= attention_head_dim_max;
}

int32_t attention_parts(const AttentionShape& shape, int32_t n_positions) {
    return (n_positions + attention_part_positions - 1) / attention_part_positions * shape.n_head_kv;
}

size_t attention_partial_floats(const AttentionShape& shape, int32_t n_tokens, int32_t n_positions) {
    return static_cast<size_t>(attention_parts(shape, n_positions)) * static_cast<size_t>(n_tokens) *
           static_cast<size_t>(shape.group()) * static_cast<size_t>(shape.head_dim + 2);
}

void attend(const AttentionJob& job, int32_t part, float* partial) {
    HWY_DYNAMIC_DISPATCH(attend_part)(job, static_cast<size_t>(part), partial);
}

void combine_attention(const AttentionShape& shape, std::span<const Position> positions, const float* partial,
                       int32_t begin, int32_t end, float* mixed) {
    const auto head_dim = static_cast<size_t>(shape.head_dim);
    const auto group = static_cast<size_t>(shape.group());
    const auto n_head_kv = static_cast<size_t>(shape.n_head_kv);
    const size_t n_rows = positions.size() * group;
    const size_t row_floats = head_dim + 2;
    for (auto token = static_cast<size_t>(begin); token < static_cast<size_t>(end); ++token) {
        const auto n_parts = static_cast<size_t>(attention_parts(shape, positions[token].value + 1));
        for (size_t head = 0; head < static_cast<size_t>(shape.n_head); ++head) {
            const auto part_row = [&](size_t part) {
                return partial + (part * n_rows + token * group + head % group) * row_floats;
            };
            float largest = -std::numeric_limits<float>::infinity();
            for (size_t part = head / group; part < n_parts; part += n_head_kv) {
                largest = std::max(largest, part_row(part)[head_dim]);
            }
            float* out = mixed + (token * static_cast<size_t>(shape.n_head) + head) * head_dim;
            std::fill_n(out, head_dim, 0.0F);
            float weight = 0;
            for (size_t part = head / group; part < n_parts; part += n_head_kv) {
                const float* row = part_row(part);
                const float share = std::exp(row[head_dim] - largest);
                weight += share * row[head_dim + 1];
                for (size_t j = 0; j < head_dim; ++j) {
                    out[j] += share * row[j];
                }
            }
            for (size_t j = 0; j < head_dim; ++j) {
                out[j] /= weight;
            }
        }
    }
}

} // namespace pie

#endif
