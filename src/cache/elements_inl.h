// How vectors of floats are read from and written to the floating-point types of a cache. Part of whatever
// includes it, and compiled with that for each instruction set; hence no `#pragma once`, but a guard that
// lets it in once for each.

#if defined(PIE_ELEMENTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIE_ELEMENTS_INL_H
#undef PIE_ELEMENTS_INL_H
#else
#define PIE_ELEMENTS_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

// Highway 1.0 truncates where it converts to half precision without an instruction for it; those targets
// round here.
#undef PIE_ROUNDS_TO_F16
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C)) || HWY_ARCH_ARM_A64
#define PIE_ROUNDS_TO_F16 1
#else
#define PIE_ROUNDS_TO_F16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

struct F32 {
    using Lane = float;
    template <class D>
    static HWY_INLINE hn::Vec<D> load(D d, const Lane* p) {
        return hn::LoadU(d, p);
    }
    template <class D>
    static HWY_INLINE void store(D d, hn::Vec<D> v, Lane* p) {
        hn::StoreU(v, d, p);
    }
};

struct F16 {
    using Lane = hwy::float16_t;
    template <class D>
    static HWY_INLINE hn::Vec<D> load(D d, const Lane* p) {
        return hn::PromoteTo(d, hn::LoadU(hn::Rebind<Lane, D>(), p));
    }
    template <class D>
    static HWY_INLINE void store(D d, hn::Vec<D> v, Lane* p) {
#if PIE_ROUNDS_TO_F16
        (void)d;
        const hn::Rebind<Lane, D> d16;
        hn::StoreU(hn::DemoteTo(d16, v), d16, p);
#else
        const hn::RebindToUnsigned<D> du;
        const hn::Rebind<uint16_t, D> du16;
        const auto magnitude = hn::Abs(v);
        const auto bits = hn::BitCast(du, magnitude);
        const auto sign = hn::Xor(hn::BitCast(du, v), bits);
        // Normal numbers: change the exponent's bias (127 to 15) and round the 13 lowest bits to nearest
        // even.
        const auto odd = hn::And(hn::ShiftRight<13>(bits), hn::Set(du, 1u));
        const auto normal = hn::ShiftRight<13>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0xC8000FFFu))));
        // Subnormal ones: next to 0.5, a float's last bit weighs 2^-24 too, so the addition rounds.
        const auto half = hn::Set(d, 0.5F);
        const auto tiny = hn::Sub(hn::BitCast(du, hn::Add(magnitude, half)), hn::BitCast(du, half));
        const auto is_tiny = hn::RebindMask(du, hn::Lt(magnitude, hn::Set(d, 0x1p-14F)));
        const auto is_finite = hn::RebindMask(du, hn::Lt(magnitude, hn::Set(d, 0x1p16F)));
        const auto is_number = hn::RebindMask(du, hn::Eq(magnitude, magnitude));
        const auto beyond = hn::IfThenElse(is_number, hn::Set(du, 0x7C00u), hn::Set(du, 0x7E00u));
        const auto rounded = hn::IfThenElse(is_finite, hn::IfThenElse(is_tiny, tiny, normal), beyond);
        const auto result = hn::Or(rounded, hn::ShiftRight<16>(sign));
        hn::StoreU(hn::TruncateTo(du16, result), du16, reinterpret_cast<uint16_t*>(p));
#endif
    }
};

struct BF16 {
    using Lane = uint16_t; // the upper half of a float
    template <class D>
    static HWY_INLINE hn::Vec<D> load(D d, const Lane* p) {
        const hn::RebindToUnsigned<D> du;
        return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(hn::Rebind<Lane, D>(), p))));
    }
    template <class D>
    static HWY_INLINE void store(D /*d*/, hn::Vec<D> v, Lane* p) {
        const hn::RebindToUnsigned<D> du;
        const hn::Rebind<Lane, D> d16;
        const auto bits = hn::BitCast(du, v);
        const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
        const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFu)));
        const auto quiet = hn::Or(bits, hn::Set(du, 0x400000u)); // rounding up could make a NaN a number
        const auto is_number = hn::RebindMask(du, hn::Eq(v, v));
        const auto result = hn::ShiftRight<16>(hn::IfThenElse(is_number, rounded, quiet));
        hn::StoreU(hn::TruncateTo(d16, result), d16, p);
    }
};

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
