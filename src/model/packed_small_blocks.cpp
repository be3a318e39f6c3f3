// Packed products with blocks of 32 columns (Q5_0). This file is compiled once for every instruction set that
// Highway knows on this architecture; HWY_NAMESPACE and the vector types differ each time. The last pass also
// compiles what stands under HWY_ONCE.
//
// A vector holds four columns of eight rows as bytes. Its products with four columns of a token, added up in
// pairs, are sixteen bits wide; four of them in a row fit (4 * 2 * 31 * 127 < 2^15), and then neighbours are
// added up to 32 bits, a lane for each row. So a block's sum is exact; what is rounded is its product with
// both scales and the sum over blocks, and that goes alike for each token of every tile.

#include "model/packed_kernels.h"

// Highway 1.0 narrows to bytes wrongly for the first.
#define HWY_DISABLED_TARGETS HWY_AVX3_DL

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/packed_small_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "model/packed_vectors-inl.h"
// clang-format on

#include "base/check.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

#if PIE_HAS_PACKED_KERNELS

namespace {

constexpr bool has_small_kernel = true;
constexpr PackedFormat format = PackedFormat::q5_0;
constexpr size_t block_size = packed_block(format).n_columns;
constexpr size_t block_bytes = packed_block(format).n_bytes;
constexpr size_t n_groups = block_size / 4; // of four columns
constexpr size_t fifth_begin = packed_halves_bytes + packed_low_bytes;
constexpr float largest_byte = 127.0F;

struct RoundedToken {
    const std::byte* values;
    const std::byte* scales;
    const std::byte* corrections;

    HWY_INLINE hn::Vec<SignedBytes> group(size_t block, size_t k) const {
        return four_columns(values, block * n_groups + k);
    }
    HWY_INLINE hn::Vec<Floats> scale(size_t block) const {
        return hn::Set(Floats(), read<float>(scales, block));
    }
    HWY_INLINE hn::Vec<Ints> correction(size_t block) const {
        return hn::Set(Ints(), read<int32_t>(corrections, block));
    }
};

HWY_INLINE RoundedToken token_at(const PackedProduct& product, size_t i) {
    const std::byte* begin = product.tokens + i * product.token_bytes();
    const std::byte* scales = begin + product.n_columns;
    return {begin, scales, scales + product.n_columns / block_size * sizeof(float)};
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
    const auto pairs = load_bytes(block + packed_halves_bytes + k * group_bytes + vector * vector_bytes);
    const auto high = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Words(), pairs)));
    const auto first_fifth = hn::BitCast(d, hn::ShiftLeft<4 - k>(fifth_bits));
    const auto second_fifth = hn::BitCast(d, hn::ShiftRight<k>(fifth_bits));
    return {hn::Or(hn::And(pairs, low_mask), hn::And(first_fifth, fifth_mask)),
            hn::Or(hn::And(high, low_mask), hn::And(second_fifth, fifth_mask))};
}

struct SmallBlocks {
    template <size_t n_tokens>
    static HWY_NOINLINE void tile(const PackedProduct& product, size_t first_token, const std::byte* strip,
                                  float* products) {
        std::array<RoundedToken, n_tokens> tokens;
        for (size_t t = 0; t < n_tokens; ++t) {
            tokens[t] = token_at(product, first_token + t);
        }
        const auto ones = hn::Set(Shorts(), 1);
        const size_t n_blocks = product.n_columns / block_size;
        for (size_t vector = 0; vector < n_vectors; ++vector) {
            hn::Vec<Floats> totals[n_tokens];
            std::fill_n(totals, n_tokens, hn::Zero(Floats()));
            for (size_t block = 0; block < n_blocks; ++block) {
                const std::byte* packed = strip + block * block_bytes;
                const auto bits =
                    hn::BitCast(Words(), load_bytes(packed + fifth_begin + vector * vector_bytes));
                const Weights weights[] = {
                    weights_at<0>(packed, vector, bits), weights_at<1>(packed, vector, bits),
                    weights_at<2>(packed, vector, bits), weights_at<3>(packed, vector, bits)};
                const auto scales = load_halves(packed, vector);
                for (size_t t = 0; t < n_tokens; ++t) {
                    auto first = multiply_pairs(weights[0].first, tokens[t].group(block, 0));
                    auto second = multiply_pairs(weights[0].second, tokens[t].group(block, 4));
                    for (size_t k = 1; k < 4; ++k) {
                        first = hn::Add(first, multiply_pairs(weights[k].first, tokens[t].group(block, k)));
                        second =
                            hn::Add(second, multiply_pairs(weights[k].second, tokens[t].group(block, 4 + k)));
                    }
                    const auto sum =
                        hn::Add(hn::Add(multiply_pairs(first, ones), multiply_pairs(second, ones)),
                                tokens[t].correction(block));
                    totals[t] = hn::MulAdd(hn::ConvertTo(Floats(), sum),
                                           hn::Mul(scales, tokens[t].scale(block)), totals[t]);
                }
            }
            for (size_t t = 0; t < n_tokens; ++t) {
                float* to = products + (first_token + t) * product.n_rows();
                hn::StoreU(totals[t], Floats(), to + vector * vector_rows);
            }
        }
    }
};

} // namespace

void multiply_small(const PackedProduct& product, size_t strip) {
    multiply_by_tiles<SmallBlocks>(product, strip);
}

void round_small(const float* HWY_RESTRICT values, std::byte* HWY_RESTRICT rounded, float& scale,
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

constexpr bool has_small_kernel = false;

void multiply_small(const PackedProduct&, size_t) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}
void round_small(const float*, std::byte*, float&, int32_t&) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}

#endif

bool small_kernel() {
    return has_small_kernel;
}

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace pie {

HWY_EXPORT(small_kernel);
HWY_EXPORT(multiply_small);
HWY_EXPORT(round_small);

namespace small_blocks {

bool has_kernel() {
    return HWY_DYNAMIC_DISPATCH(small_kernel)();
}

size_t rounded_token_bytes(size_t n_columns) {
    const size_t n_blocks = n_columns / packed_block(PackedFormat::q5_0).n_columns;
    return n_columns + n_blocks * (sizeof(float) + sizeof(int32_t));
}

void round_token(std::span<const float> token, std::byte* rounded) {
    constexpr size_t block_size = packed_block(PackedFormat::q5_0).n_columns;
    const size_t n_blocks = token.size() / block_size;
    std::byte* scales = rounded + token.size();
    std::byte* corrections = scales + n_blocks * sizeof(float);
    for (size_t block = 0; block < n_blocks; ++block) {
        float scale = 0;
        int32_t correction = 0;
        HWY_DYNAMIC_DISPATCH(round_small)
        (&token[block * block_size], rounded + block * block_size, scale, correction);
        std::memcpy(scales + block * sizeof(scale), &scale, sizeof(scale));
        std::memcpy(corrections + block * sizeof(correction), &correction, sizeof(correction));
    }
}

void multiply_strip(const PackedProduct& product, size_t strip) {
    HWY_DYNAMIC_DISPATCH(multiply_small)(product, strip);
}

} // namespace small_blocks
} // namespace pie

#endif
