// How the rotation reads and writes the quantised types of a key cache: blocks, as ggml defines them, of a
// scale in half precision and 32 integers. Part of rotation_simd.cpp, compiled with it for each instruction
// set.
//
// A block type reads floats from element i on, as many as a BlockTag holds. It finds the element that decides
// a new scale, the block's extreme, from vectors that every element has widened. It writes 32 floats by the
// inverse of the scale, which turns the extreme into the integer `range`.

#if defined(PIE_ROTATION_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIE_ROTATION_BLOCKS_INL_H
#undef PIE_ROTATION_BLOCKS_INL_H
#else
#define PIE_ROTATION_BLOCKS_INL_H
#endif

#include "cache/elements_inl.h"

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using BlockTag = hn::CappedTag<float, 16>; // divides a block and half of it
using BlockVec = hn::Vec<BlockTag>;

constexpr size_t block_size = 32; // elements, of q8_0 and of q4_0
constexpr size_t scale_bytes = 2;
constexpr float scale_lost = 0x1p-25F; // a scale of this or less is zero in half precision

// x * inverse, rounded to nearest even, plus offset, in the low bits of each lane. Next to 1.5 * 2^23 a
// float's last bit weighs 1, so the addition rounds; an instruction that converts would also have to mend
// what overflows.
HWY_INLINE auto scaled_integers(BlockVec x, BlockVec inverse, float offset) {
    const hn::RebindToUnsigned<BlockTag> du;
    return hn::BitCast(du, hn::MulAdd(x, inverse, hn::Set(BlockTag(), 0x1.8p23F + offset)));
}

struct Q8 {
    static constexpr size_t block_bytes = scale_bytes + block_size;
    static constexpr float range = 127.0F;

    static HWY_INLINE BlockVec load(const std::byte* block, size_t i, BlockVec scale) {
        const hn::RebindToSigned<BlockTag> di;
        const auto* quants = reinterpret_cast<const int8_t*>(block + scale_bytes);
        const auto q = hn::PromoteTo(di, hn::LoadU(hn::Rebind<int8_t, BlockTag>(), quants + i));
        return hn::Mul(hn::ConvertTo(BlockTag(), q), scale);
    }

    static HWY_INLINE void widen(BlockVec x, BlockVec& maxima, BlockVec& /*minima*/) {
        maxima = hn::Max(maxima, hn::Abs(x));
    }

    static HWY_INLINE float extreme(BlockVec maxima, BlockVec /*minima*/) {
        return hn::GetLane(hn::MaxOfLanes(BlockTag(), maxima));
    }

    static HWY_INLINE void store(const float* x, BlockVec inverse, std::byte* block) {
        const BlockTag d;
        const hn::Rebind<uint8_t, BlockTag> d8;
        auto* quants = reinterpret_cast<uint8_t*>(block + scale_bytes);
        for (size_t i = 0; i < block_size; i += hn::Lanes(d)) {
            hn::StoreU(hn::TruncateTo(d8, scaled_integers(hn::Load(d, x + i), inverse, 0.0F)), d8,
                       quants + i);
        }
    }
};

// Four bits an element, offset by 8; element j shares a byte with element j + 16.
struct Q4 {
    static constexpr size_t block_bytes = scale_bytes + block_size / 2;
    static constexpr float range = -8.0F; // the one end of the range that has no counterpart

    static HWY_INLINE BlockVec load(const std::byte* block, size_t i, BlockVec scale) {
        const hn::RebindToSigned<BlockTag> di;
        const auto* quants = reinterpret_cast<const uint8_t*>(block + scale_bytes);
        const auto both = hn::PromoteTo(di, hn::LoadU(hn::Rebind<uint8_t, BlockTag>(), quants + i % 16));
        const auto q = i < block_size / 2 ? hn::And(both, hn::Set(di, 15)) : hn::ShiftRight<4>(both);
        return hn::Mul(hn::ConvertTo(BlockTag(), hn::Sub(q, hn::Set(di, 8))), scale);
    }

    static HWY_INLINE void widen(BlockVec x, BlockVec& maxima, BlockVec& minima) {
        maxima = hn::Max(maxima, x);
        minima = hn::Min(minima, x);
    }

    static HWY_INLINE float extreme(BlockVec maxima, BlockVec minima) {
        const float highest = hn::GetLane(hn::MaxOfLanes(BlockTag(), maxima));
        const float lowest = hn::GetLane(hn::MinOfLanes(BlockTag(), minima));
        return highest > -lowest ? highest : lowest;
    }

    static HWY_INLINE void store(const float* x, BlockVec inverse, std::byte* block) {
        const BlockTag d;
        const hn::RebindToUnsigned<BlockTag> du;
        const hn::Rebind<uint8_t, BlockTag> d8;
        const auto mask = hn::Set(du, 31);
        const auto most = hn::Set(du, 15);
        auto* quants = reinterpret_cast<uint8_t*>(block + scale_bytes);
        for (size_t i = 0; i < block_size / 2; i += hn::Lanes(d)) {
            const auto low = hn::And(scaled_integers(hn::Load(d, x + i), inverse, 8.0F), mask);
            const auto high = hn::And(scaled_integers(hn::Load(d, x + 16 + i), inverse, 8.0F), mask);
            const auto both = hn::Or(hn::Min(low, most), hn::ShiftLeft<4>(hn::Min(high, most)));
            hn::StoreU(hn::TruncateTo(d8, both), d8, quants + i);
        }
    }
};

HWY_INLINE BlockVec load_scale(const std::byte* block) {
    const hn::Rebind<uint16_t, BlockTag> du16;
    const hn::Rebind<F16::Lane, BlockTag> d16;
    uint16_t bits = 0;
    hwy::CopyBytes<scale_bytes>(block, &bits);
    return hn::PromoteTo(BlockTag(), hn::BitCast(d16, hn::Set(du16, bits)));
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
