// Packed products with blocks of 256 columns (Q4_K, Q6_K). This file is compiled once for every instruction
// set that Highway knows on this architecture; HWY_NAMESPACE and the vector types differ each time. The last
// pass also compiles what stands under HWY_ONCE.
//
// A vector holds four columns of eight rows as bytes. Its products with four columns of a token, added up in
// pairs, are sixteen bits wide, and so many of them are added up as fit: eight of Q4_K (8 * 2 * 15 * 127 <
// 2^15), which are its group of 32 columns, and two of Q6_K (2 * 2 * 63 * 127 < 2^15), half of its group of
// 16. The step to 32 bits, a lane for each row, multiplies by the group's scale. So a block's sum is exact;
// what is rounded is its product with both scales and the sum over blocks, and that goes alike for each token
// of every tile.

#include "model/packed_kernels.h"

// Highway 1.0 narrows to bytes wrongly for the first.
#define HWY_DISABLED_TARGETS HWY_AVX3_DL

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/packed_large_blocks.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "model/packed_vectors-inl.h"
// clang-format on

#include "base/check.h"

#include <algorithm>
#include <array>

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

#if PIE_HAS_PACKED_KERNELS

namespace {

constexpr float largest_byte = 127.0F;
constexpr size_t block_size = LargeTokenBlock::n_columns;

template <size_t n_tokens>
using TokenBlocks = std::array<const std::byte*, n_tokens>;

// Four columns a vector: `first` of the first 16 of 32 columns, `second` of the others.
struct Weights {
    hn::Vec<Bytes> first;
    hn::Vec<Bytes> second;
};

HWY_INLINE Weights low_bits_at(const std::byte* group) {
    const Bytes d;
    const auto mask = hn::Set(d, 15);
    const auto pairs = load_bytes(group);
    return {hn::And(pairs, mask),
            hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Words(), pairs))), mask)};
}

// Two groups' integers for each row, and each of the two alone, twice.
template <typename T>
HWY_INLINE hn::Vec<Shorts> load_pairs(const std::byte* pairs, size_t vector) {
    const hn::CappedTag<T, 16> d;
    return hn::PromoteTo(Shorts(), hn::LoadU(d, reinterpret_cast<const T*>(pairs) + vector * 16));
}
HWY_INLINE hn::Vec<Shorts> first_of(hn::Vec<Shorts> pairs) {
    const auto lanes = hn::BitCast(Ints(), pairs);
    const auto alone = hn::And(lanes, hn::Set(Ints(), 0xFFFF));
    return hn::BitCast(Shorts(), hn::Or(alone, hn::ShiftLeft<16>(lanes)));
}
HWY_INLINE hn::Vec<Shorts> second_of(hn::Vec<Shorts> pairs) {
    const auto lanes = hn::BitCast(Ints(), pairs);
    const auto alone = hn::AndNot(hn::Set(Ints(), 0xFFFF), lanes);
    const auto moved = hn::ShiftRight<16>(hn::BitCast(hn::RebindToUnsigned<Ints>(), lanes));
    return hn::BitCast(Shorts(), hn::Or(alone, hn::BitCast(Ints(), moved)));
}

// Two groups' sums of a token's integers, once for each row.
HWY_INLINE hn::Vec<Shorts> sums_of(const std::byte* sums, size_t pair) {
    return hn::BitCast(Shorts(), hn::Set(Ints(), read<int32_t>(sums, pair)));
}

HWY_INLINE hn::Vec<Floats> token_scale(const std::byte* token_block) {
    return hn::Set(Floats(), read<float>(token_block + LargeTokenBlock::scale_begin, 0));
}

struct Q4K {
    static constexpr PackedFormat format = PackedFormat::q4_k;

    template <size_t n_tokens>
    static HWY_INLINE void add_group(const std::byte* weights, const TokenBlocks<n_tokens>& tokens,
                                     size_t group, hn::Vec<Shorts> scale, hn::Vec<Ints>* sums) {
        hn::Vec<Shorts> products[n_tokens];
        for (size_t k = 0; k < 4; ++k) {
            const Weights w = low_bits_at(weights + k * group_bytes);
            for (size_t t = 0; t < n_tokens; ++t) {
                const auto both =
                    hn::Add(multiply_pairs(w.first, four_columns(tokens[t], 8 * group + k)),
                            multiply_pairs(w.second, four_columns(tokens[t], 8 * group + 4 + k)));
                products[t] = k == 0 ? both : hn::Add(products[t], both);
            }
        }
        for (size_t t = 0; t < n_tokens; ++t) {
            sums[t] = hn::Add(sums[t], multiply_pairs(products[t], scale));
        }
    }

    template <size_t n_tokens>
    static HWY_INLINE void add_block(const std::byte* packed, size_t vector,
                                     const TokenBlocks<n_tokens>& tokens, hn::Vec<Floats>* totals) {
        const std::byte* scales = packed + 2 * packed_halves_bytes;
        const std::byte* smallest = scales + 4 * packed_pairs_bytes;
        const std::byte* weights = smallest + 4 * packed_pairs_bytes + vector * vector_bytes;
        hn::Vec<Ints> sums[n_tokens];
        hn::Vec<Ints> offsets[n_tokens];
        std::fill_n(sums, n_tokens, hn::Zero(Ints()));
        std::fill_n(offsets, n_tokens, hn::Zero(Ints()));
        for (size_t pair = 0; pair < 4; ++pair) {
            const auto both = load_pairs<uint8_t>(scales + pair * packed_pairs_bytes, vector);
            const std::byte* first = weights + 2 * pair * packed_low_bytes;
            add_group(first, tokens, 2 * pair, first_of(both), sums);
            add_group(first + packed_low_bytes, tokens, 2 * pair + 1, second_of(both), sums);
            const auto least = load_pairs<uint8_t>(smallest + pair * packed_pairs_bytes, vector);
            for (size_t t = 0; t < n_tokens; ++t) {
                offsets[t] = hn::Add(
                    offsets[t],
                    multiply_pairs(least, sums_of(tokens[t] + LargeTokenBlock::sums_of_32_begin, pair)));
            }
        }
        const auto scale = load_halves(packed, vector);
        const auto offset_scale = load_halves(packed + packed_halves_bytes, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            const auto of_token = token_scale(tokens[t]);
            totals[t] = hn::MulAdd(hn::ConvertTo(Floats(), sums[t]), hn::Mul(scale, of_token), totals[t]);
            totals[t] = hn::NegMulAdd(hn::ConvertTo(Floats(), offsets[t]), hn::Mul(offset_scale, of_token),
                                      totals[t]);
        }
    }
};

struct Q6K {
    static constexpr PackedFormat format = PackedFormat::q6_k;
    static constexpr size_t group_32_bytes = packed_low_bytes + 2 * group_bytes;

    static HWY_INLINE hn::Vec<Bytes> whole(hn::Vec<Bytes> low, hn::Vec<Words> upper) {
        const Bytes d;
        return hn::Or(low, hn::And(hn::BitCast(d, upper), hn::Set(d, 0x30)));
    }

    template <size_t n_tokens>
    static HWY_INLINE void add_32_columns(const std::byte* weights, const TokenBlocks<n_tokens>& tokens,
                                          size_t pair, hn::Vec<Shorts> scales, hn::Vec<Ints>* sums) {
        const auto first_scale = first_of(scales);
        const auto second_scale = second_of(scales);
        for (size_t m = 0; m < 2; ++m) {
            const auto upper = hn::BitCast(Words(), load_bytes(weights + packed_low_bytes + m * group_bytes));
            const Weights low_a = low_bits_at(weights + 2 * m * group_bytes);
            const Weights low_b = low_bits_at(weights + (2 * m + 1) * group_bytes);
            const Weights a = {whole(low_a.first, hn::ShiftLeft<4>(upper)),
                               whole(low_a.second, hn::ShiftLeft<2>(upper))};
            const Weights b = {whole(low_b.first, upper), whole(low_b.second, hn::ShiftRight<2>(upper))};
            const size_t column = 8 * pair + 2 * m; // by four
            for (size_t t = 0; t < n_tokens; ++t) {
                const auto first = hn::Add(multiply_pairs(a.first, four_columns(tokens[t], column)),
                                           multiply_pairs(b.first, four_columns(tokens[t], column + 1)));
                const auto second = hn::Add(multiply_pairs(a.second, four_columns(tokens[t], column + 4)),
                                            multiply_pairs(b.second, four_columns(tokens[t], column + 5)));
                sums[t] = hn::Add(sums[t], hn::Add(multiply_pairs(first, first_scale),
                                                   multiply_pairs(second, second_scale)));
            }
        }
    }

    template <size_t n_tokens>
    static HWY_INLINE void add_block(const std::byte* packed, size_t vector,
                                     const TokenBlocks<n_tokens>& tokens, hn::Vec<Floats>* totals) {
        const std::byte* pairs = packed + packed_halves_bytes;
        const std::byte* weights = pairs + 8 * packed_pairs_bytes + vector * vector_bytes;
        hn::Vec<Ints> sums[n_tokens];
        hn::Vec<Ints> offsets[n_tokens]; // a 32nd of what weights are too large by
        std::fill_n(sums, n_tokens, hn::Zero(Ints()));
        std::fill_n(offsets, n_tokens, hn::Zero(Ints()));
        for (size_t pair = 0; pair < 8; ++pair) {
            const auto scales = load_pairs<int8_t>(pairs + pair * packed_pairs_bytes, vector);
            add_32_columns(weights + pair * group_32_bytes, tokens, pair, scales, sums);
            for (size_t t = 0; t < n_tokens; ++t) {
                offsets[t] = hn::Add(
                    offsets[t],
                    multiply_pairs(scales, sums_of(tokens[t] + LargeTokenBlock::sums_of_16_begin, pair)));
            }
        }
        const auto scale = load_halves(packed, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            const auto sum = hn::Sub(sums[t], hn::ShiftLeft<5>(offsets[t]));
            totals[t] =
                hn::MulAdd(hn::ConvertTo(Floats(), sum), hn::Mul(scale, token_scale(tokens[t])), totals[t]);
        }
    }
};

template <typename Format>
struct LargeBlocks {
    template <size_t n_tokens>
    static HWY_NOINLINE void tile(const PackedProduct& product, size_t first_token, const std::byte* strip,
                                  float* products) {
        constexpr PackedBlock packed_size = packed_block(Format::format);
        const size_t n_blocks = product.n_columns / block_size;
        for (size_t vector = 0; vector < n_vectors; ++vector) {
            TokenBlocks<n_tokens> tokens;
            hn::Vec<Floats> totals[n_tokens];
            for (size_t t = 0; t < n_tokens; ++t) {
                tokens[t] = product.tokens + (first_token + t) * n_blocks * LargeTokenBlock::n_bytes;
                totals[t] = hn::Zero(Floats());
            }
            for (size_t block = 0; block < n_blocks; ++block) {
                Format::add_block(strip + block * packed_size.n_bytes, vector, tokens, totals);
                for (const std::byte*& token : tokens) {
                    token += LargeTokenBlock::n_bytes;
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

void multiply_large(const PackedProduct& product, size_t strip) {
    if (product.format == PackedFormat::q4_k) {
        multiply_by_tiles<LargeBlocks<Q4K>>(product, strip);
    } else {
        multiply_by_tiles<LargeBlocks<Q6K>>(product, strip);
    }
}

void round_large(const float* HWY_RESTRICT values, std::byte* HWY_RESTRICT rounded) {
    const Floats d;
    auto largest = hn::Zero(d);
    for (size_t i = 0; i < block_size; i += vector_rows) {
        largest = hn::Max(largest, hn::Abs(hn::LoadU(d, values + i)));
    }
    const float most = hn::GetLane(hn::MaxOfLanes(d, largest));
    const float factor = most == 0 ? 0.0F : largest_byte / most;
    const float scale = most == 0 ? 0.0F : 1.0F / factor;
    std::memcpy(rounded + LargeTokenBlock::scale_begin, &scale, sizeof(scale));
    // Tokens that are no numbers may add up to anything.
    std::array<int16_t, block_size / 16> sums_of_16{};
    std::array<int16_t, block_size / 32> sums_of_32{};
    for (size_t i = 0; i < block_size; i += vector_rows) {
        const auto integers = hn::NearestInt(hn::Mul(hn::LoadU(d, values + i), hn::Set(d, factor)));
        const hn::CappedTag<int8_t, vector_rows> bytes;
        hn::StoreU(hn::DemoteTo(bytes, integers), bytes, reinterpret_cast<int8_t*>(rounded + i));
        const auto sum = static_cast<int16_t>(hn::GetLane(hn::SumOfLanes(Ints(), integers)));
        sums_of_16[i / 16] = static_cast<int16_t>(sums_of_16[i / 16] + sum);
        sums_of_32[i / 32] = static_cast<int16_t>(sums_of_32[i / 32] + sum);
    }
    std::memcpy(rounded + LargeTokenBlock::sums_of_16_begin, sums_of_16.data(), sizeof(sums_of_16));
    std::memcpy(rounded + LargeTokenBlock::sums_of_32_begin, sums_of_32.data(), sizeof(sums_of_32));
}

#else

void multiply_large(const PackedProduct&, size_t) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}
void round_large(const float*, std::byte*) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}

#endif

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace pie {

HWY_EXPORT(multiply_large);
HWY_EXPORT(round_large);

namespace large_blocks {

size_t rounded_token_bytes(size_t n_columns) {
    return n_columns / LargeTokenBlock::n_columns * LargeTokenBlock::n_bytes;
}

void round_token(std::span<const float> token, std::byte* rounded) {
    for (size_t begin = 0; begin < token.size();
         begin += LargeTokenBlock::n_columns, rounded += LargeTokenBlock::n_bytes) {
        HWY_DYNAMIC_DISPATCH(round_large)(&token[begin], rounded);
    }
}

void multiply_strip(const PackedProduct& product, size_t strip) {
    HWY_DYNAMIC_DISPATCH(multiply_large)(product, strip);
}

} // namespace large_blocks
} // namespace pie

#endif
