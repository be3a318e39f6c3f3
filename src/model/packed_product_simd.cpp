// This file is compiled once for every instruction set that Highway knows on this architecture; HWY_NAMESPACE
// and the vector types differ each time. The last pass also compiles what stands under HWY_ONCE.
//
// A vector holds four columns of eight rows as bytes. Its products with four columns of a token, added up in
// pairs, are sixteen bits wide; four of them in a row fit (4 * 2 * 31 * 127 < 2^15), and then neighbours are
// added up to 32 bits, a lane for each row. So a block's sum is exact; what is rounded is its product with
// both scales and the sum over blocks, and that goes alike for each token of every tile.

#include "model/packed_product.h"

// Highway 1.0 narrows to bytes wrongly for the first.
#define HWY_DISABLED_TARGETS HWY_AVX3_DL

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/packed_product_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include "base/check.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

namespace hn = hwy::HWY_NAMESPACE;

constexpr bool has_kernel = true;

// 32 bytes wide on every target that comes here.
using Bytes = hn::CappedTag<uint8_t, 32>;
using SignedBytes = hn::CappedTag<int8_t, 32>;
using Shorts = hn::CappedTag<int16_t, 16>;
using Words = hn::CappedTag<uint16_t, 16>;
using Ints = hn::CappedTag<int32_t, 8>;
using Floats = hn::CappedTag<float, 8>;
using Halves = hn::CappedTag<hwy::float16_t, 8>;

constexpr size_t block_size = packed_block_size;
constexpr size_t vector_rows = 8;
constexpr size_t n_vectors = packed_rows / vector_rows;
constexpr size_t vector_bytes = 32;
constexpr size_t n_groups = block_size / 4; // of four columns
constexpr size_t group_bytes = 4 * packed_rows;
constexpr size_t low_begin = packed_rows * sizeof(hwy::float16_t);
constexpr size_t fifth_begin = low_begin + n_groups / 2 * group_bytes;
constexpr float largest_byte = 127.0F;

// Sums of neighbouring products, which Highway 1.0 has no name for.
HWY_INLINE hn::Vec<Shorts> multiply_pairs(hn::Vec<Bytes> weights, hn::Vec<SignedBytes> values) {
    return hn::Vec<Shorts>{_mm256_maddubs_epi16(weights.raw, values.raw)};
}
HWY_INLINE hn::Vec<Ints> add_pairs(hn::Vec<Shorts> sums) {
    return hn::Vec<Ints>{_mm256_madd_epi16(sums.raw, hn::Set(Shorts(), 1).raw)};
}

struct RoundedToken {
    const std::byte* values;
    const std::byte* scales;
    const std::byte* corrections;

    // Four columns, once for each row.
    HWY_INLINE hn::Vec<SignedBytes> group(size_t block, size_t k) const {
        return hn::BitCast(SignedBytes(), hn::Set(Ints(), read<int32_t>(values, block * n_groups + k)));
    }
    HWY_INLINE hn::Vec<Floats> scale(size_t block) const {
        return hn::Set(Floats(), read<float>(scales, block));
    }
    HWY_INLINE hn::Vec<Ints> correction(size_t block) const {
        return hn::Set(Ints(), read<int32_t>(corrections, block));
    }

  private:
    template <typename T>
    static HWY_INLINE T read(const std::byte* from, size_t i) {
        T value;
        std::memcpy(&value, from + i * sizeof(T), sizeof(T));
        return value;
    }
};

HWY_INLINE RoundedToken token_at(const PackedProduct& product, size_t i) {
    const auto n_columns = static_cast<size_t>(product.n_columns);
    const std::byte* begin = product.tokens + i * rounded_token_bytes(product.n_columns);
    const std::byte* scales = begin + n_columns;
    return {begin, scales, scales + n_columns / block_size * sizeof(float)};
}

HWY_INLINE hn::Vec<Floats> row_scales(const std::byte* block, size_t vector) {
    const auto* halves = reinterpret_cast<const hwy::float16_t*>(block) + vector * vector_rows;
    return hn::PromoteTo(Floats(), hn::LoadU(Halves(), halves));
}

// The weights of eight rows, 16 too large: four columns a vector.
struct Weights {
    hn::Vec<Bytes> first;  // columns from 4 k on
    hn::Vec<Bytes> second; // columns from 16 + 4 k on
};

template <size_t k>
HWY_INLINE Weights weights_at(const std::byte* block, size_t vector, hn::Vec<Words> fifth_bits) {
    const Bytes d;
    const auto low_mask = hn::Set(d, 15);
    const auto fifth_mask = hn::Set(d, 16);
    const auto* low = reinterpret_cast<const uint8_t*>(block) + low_begin + k * group_bytes;
    const auto pairs = hn::LoadU(d, low + vector * vector_bytes);
    const auto high = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Words(), pairs)));
    const auto first_fifth = hn::BitCast(d, hn::ShiftLeft<4 - k>(fifth_bits));
    const auto second_fifth = hn::BitCast(d, hn::ShiftRight<k>(fifth_bits));
    return {hn::Or(hn::And(pairs, low_mask), hn::And(first_fifth, fifth_mask)),
            hn::Or(hn::And(high, low_mask), hn::And(second_fifth, fifth_mask))};
}

HWY_INLINE hn::Vec<Words> fifth_bits_at(const std::byte* block, size_t vector) {
    const auto* bits = reinterpret_cast<const uint8_t*>(block) + fifth_begin + vector * vector_bytes;
    return hn::BitCast(Words(), hn::LoadU(Bytes(), bits));
}

// Weights are taken apart in registers, once for a few tokens.
template <size_t n_tokens>
HWY_NOINLINE void multiply_tile(const PackedProduct& product, size_t first_token, const std::byte* strip,
                                float* products) {
    std::array<RoundedToken, n_tokens> tokens;
    for (size_t t = 0; t < n_tokens; ++t) {
        tokens[t] = token_at(product, first_token + t);
    }
    const size_t n_blocks = static_cast<size_t>(product.n_columns) / block_size;
    for (size_t vector = 0; vector < n_vectors; ++vector) {
        hn::Vec<Floats> totals[n_tokens];
        std::fill_n(totals, n_tokens, hn::Zero(Floats()));
        for (size_t block = 0; block < n_blocks; ++block) {
            const std::byte* packed = strip + block * packed_block_bytes;
            const auto bits = fifth_bits_at(packed, vector);
            const Weights weights[] = {
                weights_at<0>(packed, vector, bits), weights_at<1>(packed, vector, bits),
                weights_at<2>(packed, vector, bits), weights_at<3>(packed, vector, bits)};
            const auto scales = row_scales(packed, vector);
            for (size_t t = 0; t < n_tokens; ++t) {
                auto first = multiply_pairs(weights[0].first, tokens[t].group(block, 0));
                auto second = multiply_pairs(weights[0].second, tokens[t].group(block, 4));
                for (size_t k = 1; k < 4; ++k) {
                    first = hn::Add(first, multiply_pairs(weights[k].first, tokens[t].group(block, k)));
                    second =
                        hn::Add(second, multiply_pairs(weights[k].second, tokens[t].group(block, 4 + k)));
                }
                const auto sum =
                    hn::Add(hn::Add(add_pairs(first), add_pairs(second)), tokens[t].correction(block));
                totals[t] = hn::MulAdd(hn::ConvertTo(Floats(), sum), hn::Mul(scales, tokens[t].scale(block)),
                                       totals[t]);
            }
        }
        for (size_t t = 0; t < n_tokens; ++t) {
            float* to = products + (first_token + t) * static_cast<size_t>(product.n_rows());
            hn::StoreU(totals[t], Floats(), to + vector * vector_rows);
        }
    }
}

void multiply_strip(const PackedProduct& product, size_t strip) {
    const std::byte* packed = product.matrix + strip * packed_strip_bytes(product.n_columns);
    float* products = product.products + strip * packed_rows;
    const auto n_tokens = static_cast<size_t>(product.n_tokens);
    size_t i = 0;
    for (; i + 4 <= n_tokens; i += 4) {
        multiply_tile<4>(product, i, packed, products);
    }
    switch (n_tokens - i) {
    case 1:
        return multiply_tile<1>(product, i, packed, products);
    case 2:
        return multiply_tile<2>(product, i, packed, products);
    case 3:
        return multiply_tile<3>(product, i, packed, products);
    default:
        return;
    }
}

void round_block(const float* HWY_RESTRICT values, std::byte* HWY_RESTRICT rounded, float& scale,
                 int32_t& correction) {
    const Floats d;
    auto largest = hn::Zero(d);
    for (size_t i = 0; i < block_size; i += vector_rows) {
        largest = hn::Max(largest, hn::Abs(hn::LoadU(d, values + i)));
    }
    const float unit = hn::GetLane(hn::MaxOfLanes(d, largest)) / largest_byte;
    scale = ggml_fp16_to_fp32(ggml_fp32_to_fp16(unit));
    const auto factor = hn::Set(d, scale == 0 ? 0.0F : 1.0F / unit);
    auto sum = hn::Zero(Ints());
    for (size_t i = 0; i < block_size; i += vector_rows) {
        const auto integers = hn::NearestInt(hn::Mul(hn::LoadU(d, values + i), factor));
        sum = hn::Add(sum, integers);
        const hn::CappedTag<int8_t, vector_rows> bytes;
        hn::StoreU(hn::DemoteTo(bytes, integers), bytes, reinterpret_cast<int8_t*>(rounded + i));
    }
    // Tokens that are no numbers may add up to anything; vectors wrap around.
    correction = hn::GetLane(hn::Neg(hn::ShiftLeft<4>(hn::SumOfLanes(Ints(), sum))));
}

#else

constexpr bool has_kernel = false;

void multiply_strip(const PackedProduct&, size_t) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}
void round_block(const float*, std::byte*, float&, int32_t&) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}

#endif

bool has_packed_kernel() {
    return has_kernel;
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace pie {

HWY_EXPORT(has_packed_kernel);
HWY_EXPORT(multiply_strip);
HWY_EXPORT(round_block);

bool can_multiply_packed() {
    return HWY_DYNAMIC_DISPATCH(has_packed_kernel)();
}

size_t rounded_token_bytes(int64_t n_columns) {
    const auto n = static_cast<size_t>(n_columns);
    return n + n / packed_block_size * (sizeof(float) + sizeof(int32_t));
}

void round_token(std::span<const float> token, std::byte* rounded) {
    constexpr size_t block_size = packed_block_size;
    const size_t n_blocks = token.size() / block_size;
    std::byte* scales = rounded + token.size();
    std::byte* corrections = scales + n_blocks * sizeof(float);
    for (size_t block = 0; block < n_blocks; ++block) {
        float scale = 0;
        int32_t correction = 0;
        HWY_DYNAMIC_DISPATCH(round_block)
        (&token[block * block_size], rounded + block * block_size, scale, correction);
        std::memcpy(scales + block * sizeof(scale), &scale, sizeof(scale));
        std::memcpy(corrections + block * sizeof(correction), &correction, sizeof(correction));
    }
}

void multiply_packed(const PackedProduct& product, int64_t begin_strip, int64_t end_strip) {
    for (int64_t strip = begin_strip; strip < end_strip; ++strip) {
        HWY_DYNAMIC_DISPATCH(multiply_strip)(product, static_cast<size_t>(strip));
    }
}

} // namespace pie

#endif
