// This file is compiled once for every instruction set that Highway knows on this architecture; HWY_NAMESPACE
// and the vector types differ each time. The last pass also compiles what stands under HWY_ONCE.
//
// A pair of elements (a, b) turns into (a cos - b sin, a sin + b cos). Lanes are kept in memory order. In the
// NEOX layout a and b are two runs of the head, loaded into two vectors; in the interleaved layout they are
// neighbours in one vector, and the partner is the vector with its neighbours swapped. Rows are read and
// written once, so the work is bound by memory as long as it asks for the rows in time: it prefetches the
// rows that come next.

#include "cache/rotation_simd.h"

// Highway 1.0 narrows to bytes wrongly for this target, which adds nothing here over AVX3.
#define HWY_DISABLED_TARGETS HWY_AVX3_DL

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cache/rotation_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "cache/rotation_blocks_inl.h"
#include "cache/elements_inl.h"
// clang-format on

#include <hwy/cache_control.h>

#include <algorithm>
#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FullTag = hn::ScalableTag<float>;
using QuadTag = hn::CappedTag<float, 4>;
using OneTag = hn::CappedTag<float, 1>;

constexpr size_t line_bytes = 64; // of the cache

// Rotation of one head of floating-point elements.

template <class Format, class D, class Lane = typename Format::Lane>
HWY_INLINE void turn_pairs(D d, Lane* HWY_RESTRICT a, Lane* HWY_RESTRICT b, const float* HWY_RESTRICT cos,
                           const float* HWY_RESTRICT sin) {
    const auto va = Format::load(d, a);
    const auto vb = Format::load(d, b);
    const auto c = hn::LoadU(d, cos);
    const auto s = hn::LoadU(d, sin);
    Format::store(d, hn::NegMulAdd(vb, s, hn::Mul(va, c)), a);
    Format::store(d, hn::MulAdd(va, s, hn::Mul(vb, c)), b);
}

template <class Format, class Lane = typename Format::Lane>
HWY_INLINE void rotate_neox(Lane* HWY_RESTRICT head, const RotationJob& job) {
    const size_t half = job.n_rot / 2;
    const float* HWY_RESTRICT cos = job.own;
    const float* HWY_RESTRICT sin = job.partner + half;
    size_t j = 0;
    for (const size_t n = hn::Lanes(FullTag()); j + n <= half; j += n) {
        turn_pairs<Format>(FullTag(), head + j, head + half + j, cos + j, sin + j);
    }
    for (const size_t n = hn::Lanes(QuadTag()); j + n <= half; j += n) {
        turn_pairs<Format>(QuadTag(), head + j, head + half + j, cos + j, sin + j);
    }
    for (; j < half; ++j) {
        turn_pairs<Format>(OneTag(), head + j, head + half + j, cos + j, sin + j);
    }
}

template <class Format, class D, class Lane = typename Format::Lane>
HWY_INLINE void turn_neighbours(D d, Lane* HWY_RESTRICT x, const float* HWY_RESTRICT own,
                                const float* HWY_RESTRICT partner) {
    const auto v = Format::load(d, x);
    const auto turned = hn::MulAdd(hn::Reverse2(d, v), hn::LoadU(d, partner), hn::Mul(v, hn::LoadU(d, own)));
    Format::store(d, turned, x);
}

template <class Format, class Lane = typename Format::Lane>
HWY_INLINE void rotate_interleaved(Lane* HWY_RESTRICT head, const RotationJob& job) {
    const float* HWY_RESTRICT own = job.own;
    const float* HWY_RESTRICT partner = job.partner;
    size_t i = 0;
#if HWY_TARGET != HWY_SCALAR // whose vectors hold no neighbours
    for (const size_t n = hn::Lanes(FullTag()); i + n <= job.n_rot; i += n) {
        turn_neighbours<Format>(FullTag(), head + i, own + i, partner + i);
    }
    for (const size_t n = hn::Lanes(QuadTag()); i + n <= job.n_rot; i += n) {
        turn_neighbours<Format>(QuadTag(), head + i, own + i, partner + i);
    }
#endif
    for (; i < job.n_rot; i += 2) {
        turn_pairs<Format>(OneTag(), head + i, head + i + 1, own + i, partner + i + 1);
    }
}

template <class Format, RopeLayout layout, class Lane = typename Format::Lane>
HWY_INLINE void rotate_head(Lane* HWY_RESTRICT head, const RotationJob& job) {
    if constexpr (layout == RopeLayout::neox) {
        rotate_neox<Format>(head, job);
    } else {
        rotate_interleaved<Format>(head, job);
    }
}

HWY_INLINE std::byte* row_of(size_t r, const RotationJob& job) {
    return job.data + static_cast<size_t>(job.rows[r].value) * job.row_bytes;
}

HWY_INLINE void prefetch(const std::byte* head, size_t n_bytes) {
    for (size_t b = 0; b < n_bytes; b += line_bytes) {
        hwy::Prefetch(head + b);
    }
}

template <class Format, RopeLayout layout>
struct FloatRows {
    static HWY_INLINE size_t group_size(const RotationJob& /*job*/) { return 1; }

    static HWY_INLINE void rotate(size_t begin, size_t /*end*/, const RotationJob& job) {
        std::byte* row = row_of(begin, job);
        const std::byte* ahead = row_of(std::min(begin + job.n_ahead, job.rows.size() - 1), job);
        for (size_t h = 0; h < job.n_head * job.head_bytes; h += job.head_bytes) {
            prefetch(ahead + h, job.head_bytes);
            rotate_head<Format, layout>(reinterpret_cast<typename Format::Lane*>(row + h), job);
        }
    }
};

HWY_INLINE size_t rotated_blocks(const RotationJob& job) {
    return (job.n_rot + block_size - 1) / block_size;
}

// Each of these reads the blocks of one head that hold a rotated element, and leaves the rotated elements in
// `x` and the extreme of each block in `extremes`.

// The general way: partners may lie in any two blocks.
template <class Block, RopeLayout layout>
HWY_INLINE void turn_blocks(const std::byte* head, float* x, float* extremes, const RotationJob& job) {
    const BlockTag d;
    const size_t n = rotated_blocks(job) * block_size;
    for (size_t j = 0; j < n; j += block_size) {
        const std::byte* block = head + j / block_size * Block::block_bytes;
        const auto scale = load_scale(block);
        for (size_t i = 0; i < block_size; i += hn::Lanes(d)) {
            hn::Store(Block::load(block, i, scale), d, x + j + i);
        }
    }
    rotate_head<F32, layout>(x, job);
    for (size_t j = 0; j < n; j += block_size) {
        auto maxima = hn::Zero(d);
        auto minima = hn::Zero(d);
        for (size_t i = 0; i < block_size; i += hn::Lanes(d)) {
            Block::widen(hn::Load(d, x + j + i), maxima, minima);
        }
        extremes[j / block_size] = Block::extreme(maxima, minima);
    }
}

// The usual NEOX head: all partners of one block lie in one other block.
template <class Block>
HWY_INLINE void turn_block_pairs(const std::byte* head, float* HWY_RESTRICT x, float* HWY_RESTRICT extremes,
                                 const RotationJob& job) {
    const BlockTag d;
    const size_t half = job.n_rot / 2;
    for (size_t j = 0; j < half; j += block_size) {
        const std::byte* block_a = head + j / block_size * Block::block_bytes;
        const std::byte* block_b = head + (j + half) / block_size * Block::block_bytes;
        const auto scale_a = load_scale(block_a);
        const auto scale_b = load_scale(block_b);
        auto maxima_a = hn::Zero(d);
        auto minima_a = hn::Zero(d);
        auto maxima_b = hn::Zero(d);
        auto minima_b = hn::Zero(d);
        for (size_t i = 0; i < block_size; i += hn::Lanes(d)) {
            const auto a = Block::load(block_a, i, scale_a);
            const auto b = Block::load(block_b, i, scale_b);
            const auto cos = hn::LoadU(d, job.own + j + i);
            const auto sin = hn::LoadU(d, job.partner + half + j + i);
            const auto turned_a = hn::NegMulAdd(b, sin, hn::Mul(a, cos));
            const auto turned_b = hn::MulAdd(a, sin, hn::Mul(b, cos));
            Block::widen(turned_a, maxima_a, minima_a);
            Block::widen(turned_b, maxima_b, minima_b);
            hn::Store(turned_a, d, x + j + i);
            hn::Store(turned_b, d, x + half + j + i);
        }
        extremes[j / block_size] = Block::extreme(maxima_a, minima_a);
        extremes[(j + half) / block_size] = Block::extreme(maxima_b, minima_b);
    }
}

#if HWY_TARGET != HWY_SCALAR
// The usual interleaved head: partners lie in the same block.
template <class Block>
HWY_INLINE void turn_whole_blocks(const std::byte* head, float* HWY_RESTRICT x, float* HWY_RESTRICT extremes,
                                  const RotationJob& job) {
    const BlockTag d;
    for (size_t j = 0; j < job.n_rot; j += block_size) {
        const std::byte* block = head + j / block_size * Block::block_bytes;
        const auto scale = load_scale(block);
        auto maxima = hn::Zero(d);
        auto minima = hn::Zero(d);
        for (size_t i = 0; i < block_size; i += hn::Lanes(d)) {
            const auto v = Block::load(block, i, scale);
            const auto own = hn::LoadU(d, job.own + j + i);
            const auto partner = hn::LoadU(d, job.partner + j + i);
            const auto turned = hn::MulAdd(hn::Reverse2(d, v), partner, hn::Mul(v, own));
            Block::widen(turned, maxima, minima);
            hn::Store(turned, d, x + j + i);
        }
        extremes[j / block_size] = Block::extreme(maxima, minima);
    }
}
#endif

template <class Block, RopeLayout layout>
HWY_INLINE void turn_head(const std::byte* head, float* x, float* extremes, const RotationJob& job) {
    if constexpr (layout == RopeLayout::neox) {
        if (job.n_rot % (2 * block_size) == 0) {
            return turn_block_pairs<Block>(head, x, extremes, job);
        }
    }
#if HWY_TARGET != HWY_SCALAR // whose vectors hold no neighbours
    if constexpr (layout == RopeLayout::interleaved) {
        if (job.n_rot % block_size == 0) {
            return turn_whole_blocks<Block>(head, x, extremes, job);
        }
    }
#endif
    turn_blocks<Block, layout>(head, x, extremes, job);
}

// From a block's extreme to its new scale is a long chain of dependent steps, so rows go through in groups,
// and each group in three phases, of which each has many independent blocks to work on.
template <class Block, RopeLayout layout>
struct QuantisedRows {
    static HWY_INLINE size_t group_size(const RotationJob& job) {
        return std::max<size_t>(1, job.n_scratch_blocks / (job.n_head * rotated_blocks(job)));
    }

    static HWY_INLINE void rotate(size_t begin, size_t end, const RotationJob& job) {
        const size_t n_head_blocks = rotated_blocks(job);
        float* HWY_RESTRICT x = job.scratch;
        float* HWY_RESTRICT extremes = x + job.n_scratch_blocks * block_size;
        auto* HWY_RESTRICT scales =
            reinterpret_cast<F16::Lane*>(extremes + job.n_scratch_blocks + rotation_scratch_padding);
        size_t n_blocks = 0;
        for (size_t r = begin; r < end; ++r) {
            const std::byte* row = row_of(r, job);
            const std::byte* ahead = row_of(std::min(r + job.n_ahead, job.rows.size() - 1), job);
            for (size_t h = 0; h < job.n_head * job.head_bytes; h += job.head_bytes) {
                prefetch(ahead + h, job.head_bytes);
                turn_head<Block, layout>(row + h, x + n_blocks * block_size, extremes + n_blocks, job);
                n_blocks += n_head_blocks;
            }
        }
        const QuadTag d;
        const auto range = hn::Set(d, Block::range);
        for (size_t b = 0; b < n_blocks; b += hn::Lanes(d)) {
            const auto extreme = hn::LoadU(d, extremes + b);
            const auto scale = hn::Mul(extreme, hn::Set(d, 1.0F / Block::range));
            const auto is_zero = hn::Le(hn::Abs(scale), hn::Set(d, scale_lost));
            hn::StoreU(hn::IfThenZeroElse(is_zero, hn::Div(range, extreme)), d, extremes + b);
            F16::store(d, scale, scales + b);
        }
        size_t b = 0;
        for (size_t r = begin; r < end; ++r) {
            std::byte* row = row_of(r, job);
            for (size_t h = 0; h < job.n_head * job.head_bytes; h += job.head_bytes) {
                for (size_t i = 0; i < n_head_blocks * Block::block_bytes; i += Block::block_bytes) {
                    hwy::CopyBytes<scale_bytes>(scales + b, row + h + i);
                    Block::store(x + b * block_size, hn::Set(BlockTag(), extremes[b]), row + h + i);
                    ++b;
                }
            }
        }
    }
};

template <class Rows>
HWY_INLINE void rotate_groups(const RotationJob& named_job) {
    // Stores to the keys could change the job for all that the compiler knows, but not a copy of it.
    const RotationJob job = named_job;
    const size_t n_rows = job.rows.size();
    const size_t group = Rows::group_size(job);
    for (size_t r = 0; r < n_rows; r += group) {
        Rows::rotate(r, std::min(r + group, n_rows), job);
    }
}

template <template <class, RopeLayout> class Rows, class Format>
HWY_INLINE void rotate_layout(const RotationJob& job) {
    if (job.layout == RopeLayout::neox) {
        rotate_groups<Rows<Format, RopeLayout::neox>>(job);
    } else {
        rotate_groups<Rows<Format, RopeLayout::interleaved>>(job);
    }
}

void rotate_f32(const RotationJob& job) {
    rotate_layout<FloatRows, F32>(job);
}
void rotate_f16(const RotationJob& job) {
    rotate_layout<FloatRows, F16>(job);
}
void rotate_bf16(const RotationJob& job) {
    rotate_layout<FloatRows, BF16>(job);
}
void rotate_q8_0(const RotationJob& job) {
    rotate_layout<QuantisedRows, Q8>(job);
}
void rotate_q4_0(const RotationJob& job) {
    rotate_layout<QuantisedRows, Q4>(job);
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include "base/check.h"

namespace pie {

HWY_EXPORT(rotate_f32);
HWY_EXPORT(rotate_f16);
HWY_EXPORT(rotate_bf16);
HWY_EXPORT(rotate_q8_0);
HWY_EXPORT(rotate_q4_0);

void rotate_rows_simd(ggml_type type, const RotationJob& job) {
    switch (type) {
    case GGML_TYPE_F32:
        return HWY_DYNAMIC_DISPATCH(rotate_f32)(job);
    case GGML_TYPE_F16:
        return HWY_DYNAMIC_DISPATCH(rotate_f16)(job);
    case GGML_TYPE_BF16:
        return HWY_DYNAMIC_DISPATCH(rotate_bf16)(job);
    case GGML_TYPE_Q8_0:
        return HWY_DYNAMIC_DISPATCH(rotate_q8_0)(job);
    case GGML_TYPE_Q4_0:
        return HWY_DYNAMIC_DISPATCH(rotate_q4_0)(job);
    default:
        PIE_CHECK(false, "the caller asks can_rotate first");
    }
}

} // namespace pie

#endif
