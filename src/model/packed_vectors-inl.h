// What kernels of packed products (model/packed_kernels.h) have in common. Read once for each instruction set
// by what includes it behind hwy/highway.h; HWY_NAMESPACE and the vector types differ each time.

#if defined(PIE_PACKED_VECTORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef PIE_PACKED_VECTORS_INL_H
#undef PIE_PACKED_VECTORS_INL_H
#else
#define PIE_PACKED_VECTORS_INL_H
#endif

#include "model/packed_product.h"

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define PIE_HAS_PACKED_KERNELS (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2)

#if PIE_HAS_PACKED_KERNELS

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// 32 bytes wide on every target that comes here.
using Bytes = hn::CappedTag<uint8_t, 32>;
using SignedBytes = hn::CappedTag<int8_t, 32>;
using Shorts = hn::CappedTag<int16_t, 16>;
using Words = hn::CappedTag<uint16_t, 16>;
using Ints = hn::CappedTag<int32_t, 8>;
using Floats = hn::CappedTag<float, 8>;

constexpr size_t vector_rows = 8;
constexpr size_t n_vectors = packed_rows / vector_rows;
constexpr size_t vector_bytes = 32;
constexpr size_t group_bytes = 4 * packed_rows; // of four columns

// Products with neighbours added up, which Highway 1.0 has no names for.
HWY_INLINE hn::Vec<Shorts> multiply_pairs(hn::Vec<Bytes> weights, hn::Vec<SignedBytes> values) {
    return hn::Vec<Shorts>{_mm256_maddubs_epi16(weights.raw, values.raw)};
}
HWY_INLINE hn::Vec<Ints> multiply_pairs(hn::Vec<Shorts> a, hn::Vec<Shorts> b) {
    return hn::Vec<Ints>{_mm256_madd_epi16(a.raw, b.raw)};
}

template <typename T>
HWY_INLINE T read(const std::byte* from, size_t i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    return value;
}

HWY_INLINE hn::Vec<Bytes> load_bytes(const std::byte* from) {
    return hn::LoadU(Bytes(), reinterpret_cast<const uint8_t*>(from));
}

// Four columns of a token, once for each row.
HWY_INLINE hn::Vec<SignedBytes> four_columns(const std::byte* values, size_t i) {
    return hn::BitCast(SignedBytes(), hn::Set(Ints(), read<int32_t>(values, i)));
}

// Numbers in half precision, of one vector's rows.
HWY_INLINE hn::Vec<Floats> load_halves(const std::byte* of_strip, size_t vector) {
    const auto* halves = reinterpret_cast<const hwy::float16_t*>(of_strip) + vector * vector_rows;
    return hn::PromoteTo(Floats(), hn::LoadU(hn::CappedTag<hwy::float16_t, 8>(), halves));
}

// Weights are taken apart in registers, once for a few tokens: Kernel::tile.
template <typename Kernel>
HWY_INLINE void multiply_by_tiles(const PackedProduct& product, size_t strip) {
    const std::byte* packed = product.matrix + strip * product.strip_bytes();
    float* products = product.products + strip * packed_rows;
    size_t i = 0;
    for (; i + 4 <= product.n_tokens; i += 4) {
        Kernel::template tile<4>(product, i, packed, products);
    }
    switch (product.n_tokens - i) {
    case 1:
        return Kernel::template tile<1>(product, i, packed, products);
    case 2:
        return Kernel::template tile<2>(product, i, packed, products);
    case 3:
        return Kernel::template tile<3>(product, i, packed, products);
    default:
        return;
    }
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
#endif
