// This file is compiled once for every instruction set that Highway knows on this architecture; HWY_NAMESPACE
// and the vector types differ each time. The last pass also compiles what stands under HWY_ONCE.
//
// A vector holds four columns of eight rows as bytes, or of sixteen. Its products with four columns of a
// token, added up in pairs, are sixteen bits wide, and so many of them are added up as fit: four of Q5_0
// (4 * 2 * 31 * 127 < 2^15), half of its block; eight of Q4_K (8 * 2 * 15 * 127 < 2^15), its group of 32
// columns; two of Q6_K (2 * 2 * 63 * 127 < 2^15), half of its group of 16; one of Q8_0. The step to 32 bits,
// a lane for each row, multiplies by the group's scale. Where there are instructions that add up to 32 bits
// at once (VNNI), all but Q6_K take those instead. So a block's sum is exact either way; what is rounded is
// its product with both scales and the sum over blocks, and that goes alike for each token of every tile and
// on every processor.

#include "model/packed_product.h"

// Highway 1.0 leaves this target out unless told.
#define HWY_WANT_AVX3_DL

// The order matters: foreach_target.h chooses the target that highway.h then defines a namespace for.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/packed_product_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include "base/check.h"

#include <ggml.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <array>
#include <cstring>

#if HWY_ARCH_X86
#include <cpuid.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace pie::HWY_NAMESPACE {

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2

namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3_DL
constexpr size_t vector_rows = 16;
constexpr size_t tile_tokens = 8;
#else
constexpr size_t vector_rows = 8;
constexpr size_t tile_tokens = 4;
#endif
constexpr size_t n_vectors = packed_rows / vector_rows;
constexpr size_t vector_bytes = 4 * vector_rows;
constexpr size_t group_bytes = 4 * packed_rows; // of four columns

using Bytes = hn::CappedTag<uint8_t, vector_bytes>;
using SignedBytes = hn::CappedTag<int8_t, vector_bytes>;
using Shorts = hn::CappedTag<int16_t, 2 * vector_rows>;
using Words = hn::CappedTag<uint16_t, 2 * vector_rows>;
using Ints = hn::CappedTag<int32_t, vector_rows>;
using Floats = hn::CappedTag<float, vector_rows>;

// Two groups' integers for each row, and each of the two alone, twice.
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

// Products of neighbours, added up; Highway 1.0 has no names for these.
HWY_INLINE hn::Vec<Shorts> multiply_pairs(hn::Vec<Bytes> weights, hn::Vec<SignedBytes> values) {
#if HWY_TARGET <= HWY_AVX3_DL
    return hn::Vec<Shorts>{_mm512_maddubs_epi16(weights.raw, values.raw)};
#else
    return hn::Vec<Shorts>{_mm256_maddubs_epi16(weights.raw, values.raw)};
#endif
}

// No target of Highway 1.0 tells the compiler of VNNI, hence assembler. Without AVX-512 the instructions have
// another encoding.
#undef PIE_VNNI
#if HWY_TARGET <= HWY_AVX3_DL
#define PIE_VNNI(name) name " %2, %1, %0"
#else
#define PIE_VNNI(name) "%{vex%} " name " %2, %1, %0"
#endif

// How the products of a group of columns are added up to a Sum, and that, times the group's scale, to a
// total. With VNNI: at once.
struct AtOnce {
    using Sum = hn::Vec<Ints>;
    using Scale = hn::Vec<Ints>;

    static HWY_INLINE Sum add_products(Sum sum, hn::Vec<Bytes> weights, hn::Vec<SignedBytes> values) {
        asm(PIE_VNNI("vpdpbusd") : "+v"(sum.raw) : "v"(weights.raw), "v"(values.raw));
        return sum;
    }
    static HWY_INLINE hn::Vec<Ints> add_pairs(hn::Vec<Ints> total, hn::Vec<Shorts> a, hn::Vec<Shorts> b) {
        asm(PIE_VNNI("vpdpwssd") : "+v"(total.raw) : "v"(a.raw), "v"(b.raw));
        return total;
    }
    static HWY_INLINE Sum zero() { return hn::Zero(Ints()); }
    static HWY_INLINE Scale first_scale(hn::Vec<Shorts> pairs) {
        return hn::ShiftRight<16>(hn::ShiftLeft<16>(hn::BitCast(Ints(), pairs)));
    }
    static HWY_INLINE Scale second_scale(hn::Vec<Shorts> pairs) {
        return hn::ShiftRight<16>(hn::BitCast(Ints(), pairs));
    }
    static HWY_INLINE hn::Vec<Ints> add(hn::Vec<Ints> total, Sum sum) { return hn::Add(total, sum); }
    static HWY_INLINE hn::Vec<Ints> add_scaled(hn::Vec<Ints> total, Sum sum, Scale scale) {
        return hn::Add(total, hn::Mul(sum, scale));
    }
};

#if HWY_TARGET > HWY_AVX3_DL

// Without: in pairs of sixteen bits first.
struct InPairs {
    using Sum = hn::Vec<Shorts>;
    using Scale = hn::Vec<Shorts>;

    static HWY_INLINE Sum add_products(Sum sum, hn::Vec<Bytes> weights, hn::Vec<SignedBytes> values) {
        return hn::Add(sum, multiply_pairs(weights, values));
    }
    static HWY_INLINE hn::Vec<Ints> add_pairs(hn::Vec<Ints> total, hn::Vec<Shorts> a, hn::Vec<Shorts> b) {
        return hn::Add(total, hn::Vec<Ints>{_mm256_madd_epi16(a.raw, b.raw)});
    }
    static HWY_INLINE Sum zero() { return hn::Zero(Shorts()); }
    static HWY_INLINE Scale first_scale(hn::Vec<Shorts> pairs) { return first_of(pairs); }
    static HWY_INLINE Scale second_scale(hn::Vec<Shorts> pairs) { return second_of(pairs); }
    static HWY_INLINE hn::Vec<Ints> add(hn::Vec<Ints> total, Sum sum) {
        return add_pairs(total, sum, hn::Set(Shorts(), 1));
    }
    static HWY_INLINE hn::Vec<Ints> add_scaled(hn::Vec<Ints> total, Sum sum, Scale scale) {
        return add_pairs(total, sum, scale);
    }
};

#endif

template <typename T>
HWY_INLINE T read(const std::byte* from, size_t i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    return value;
}

// Where a block keeps the processor at it for longer than it looks ahead, memory would be waited for between
// blocks: with eight rows a vector always, with sixteen from four tokens on. A fetch from behind the matrix
// does nothing.
constexpr size_t n_tokens_fetching_ahead = n_vectors > 1 ? 1 : 4;
constexpr size_t ahead_bytes = 3072;

template <size_t n_tokens>
HWY_INLINE void fetch_ahead(const std::byte* from) {
    if constexpr (n_tokens >= n_tokens_fetching_ahead) {
        hwy::Prefetch(from + ahead_bytes);
    }
}

template <size_t n_tokens>
HWY_INLINE hn::Vec<Bytes> load_weights(const std::byte* from) {
    fetch_ahead<n_tokens>(from);
    return hn::LoadU(Bytes(), reinterpret_cast<const uint8_t*>(from));
}

// Four columns of a token, once for each row.
HWY_INLINE hn::Vec<SignedBytes> four_columns(const std::byte* values, size_t i) {
    return hn::BitCast(SignedBytes(), hn::Set(Ints(), read<int32_t>(values, i)));
}

// Numbers in half precision, of one vector's rows.
template <size_t n_tokens>
HWY_INLINE hn::Vec<Floats> load_halves(const std::byte* of_strip, size_t vector) {
    fetch_ahead<n_tokens>(of_strip);
    const auto* halves = reinterpret_cast<const hwy::float16_t*>(of_strip) + vector * vector_rows;
    return hn::PromoteTo(Floats(), hn::LoadU(hn::CappedTag<hwy::float16_t, vector_rows>(), halves));
}

constexpr float largest_byte = 127.0F;

template <size_t n_tokens>
using TokenBlocks = std::array<const std::byte*, n_tokens>;

// Four columns a vector: `first` of the first 16 of 32 columns, `second` of the others.
struct Weights {
    hn::Vec<Bytes> first;
    hn::Vec<Bytes> second;
};

template <size_t n_tokens>
HWY_INLINE Weights low_bits_at(const std::byte* group) {
    const Bytes d;
    const auto mask = hn::Set(d, 15);
    const auto pairs = load_weights<n_tokens>(group);
    return {hn::And(pairs, mask),
            hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(Words(), pairs))), mask)};
}

template <size_t n_tokens, typename T>
HWY_INLINE hn::Vec<Shorts> load_pairs(const std::byte* pairs, size_t vector) {
    fetch_ahead<n_tokens>(pairs);
    const hn::CappedTag<T, 2 * vector_rows> d;
    return hn::PromoteTo(Shorts(),
                         hn::LoadU(d, reinterpret_cast<const T*>(pairs) + vector * 2 * vector_rows));
}

// Two groups' sums of a token's integers, once for each row.
HWY_INLINE hn::Vec<Shorts> sums_of(const std::byte* sums, size_t pair) {
    return hn::BitCast(Shorts(), hn::Set(Ints(), read<int32_t>(sums, pair)));
}

HWY_INLINE hn::Vec<Floats> token_scale(const std::byte* token_block) {
    return hn::Set(Floats(), read<float>(token_block + RoundedBlock256::scale_begin, 0));
}

// Of blocks of 32 columns: what makes up for weights that are stored 16 too large, and the step from a
// block's sum to the total.
HWY_INLINE hn::Vec<Ints> correction_of(const std::byte* token_block) {
    return hn::Set(Ints(), read<int32_t>(token_block + RoundedBlock32::correction_begin, 0));
}
HWY_INLINE hn::Vec<Floats> add_block_sum(hn::Vec<Floats> total, hn::Vec<Ints> sum, hn::Vec<Floats> scale,
                                         const std::byte* token_block) {
    const auto of_token = hn::Set(Floats(), read<float>(token_block + RoundedBlock32::scale_begin, 0));
    return hn::MulAdd(hn::ConvertTo(Floats(), sum), hn::Mul(scale, of_token), total);
}

// Its weights are stored 16 too large.
template <typename Sums>
struct Q5 {
    static constexpr PackedFormat format = PackedFormat::q5_0;

    template <size_t n_tokens, size_t k>
    static HWY_INLINE Weights weights_at(const std::byte* low, hn::Vec<Words> fifth_bits) {
        const Bytes d;
        const auto mask = hn::Set(d, 16);
        const Weights four_bits = low_bits_at<n_tokens>(low + k * group_bytes);
        const auto first_fifth = hn::BitCast(d, hn::ShiftLeft<4 - k>(fifth_bits));
        const auto second_fifth = hn::BitCast(d, hn::ShiftRight<k>(fifth_bits));
        return {hn::Or(four_bits.first, hn::And(first_fifth, mask)),
                hn::Or(four_bits.second, hn::And(second_fifth, mask))};
    }

    template <size_t n_tokens>
    static HWY_INLINE void add_block(const std::byte* packed, size_t vector,
                                     const TokenBlocks<n_tokens>& tokens, hn::Vec<Floats>* totals) {
        const std::byte* low = packed + packed_halves_bytes + vector * vector_bytes;
        const auto bits = hn::BitCast(Words(), load_weights<n_tokens>(low + packed_low_bytes));
        const Weights weights[] = {weights_at<n_tokens, 0>(low, bits), weights_at<n_tokens, 1>(low, bits),
                                   weights_at<n_tokens, 2>(low, bits), weights_at<n_tokens, 3>(low, bits)};
        const auto scale = load_halves<n_tokens>(packed, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            auto first = Sums::zero();
            auto second = Sums::zero();
            for (size_t k = 0; k < 4; ++k) {
                first = Sums::add_products(first, weights[k].first, four_columns(tokens[t], k));
                second = Sums::add_products(second, weights[k].second, four_columns(tokens[t], 4 + k));
            }
            const auto sum = Sums::add(Sums::add(correction_of(tokens[t]), first), second);
            totals[t] = add_block_sum(totals[t], sum, scale, tokens[t]);
        }
    }
};

// Its weights are stored 128 too large.
template <typename Sums>
struct Q8;

// Eight times what the correction makes up for.
template <>
struct Q8<AtOnce> {
    static constexpr PackedFormat format = PackedFormat::q8_0;

    template <size_t n_tokens>
    static HWY_INLINE void add_block(const std::byte* packed, size_t vector,
                                     const TokenBlocks<n_tokens>& tokens, hn::Vec<Floats>* totals) {
        const std::byte* bytes = packed + packed_halves_bytes + vector * vector_bytes;
        hn::Vec<Bytes> weights[8];
        for (size_t k = 0; k < 8; ++k) {
            weights[k] = load_weights<n_tokens>(bytes + k * group_bytes);
        }
        const auto scale = load_halves<n_tokens>(packed, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            auto first = hn::ShiftLeft<3>(correction_of(tokens[t]));
            auto second = AtOnce::zero();
            for (size_t k = 0; k < 4; ++k) {
                first = AtOnce::add_products(first, weights[k], four_columns(tokens[t], k));
                second = AtOnce::add_products(second, weights[4 + k], four_columns(tokens[t], 4 + k));
            }
            totals[t] = add_block_sum(totals[t], hn::Add(first, second), scale, tokens[t]);
        }
    }
};

#if HWY_TARGET > HWY_AVX3_DL

// Two products fit into sixteen bits where the weight's size is one factor and its sign goes to the other
// (2 * 128 * 127 < 2^15).
template <>
struct Q8<InPairs> {
    static constexpr PackedFormat format = PackedFormat::q8_0;

    template <size_t n_tokens>
    static HWY_INLINE void add_block(const std::byte* packed, size_t vector,
                                     const TokenBlocks<n_tokens>& tokens, hn::Vec<Floats>* totals) {
        const std::byte* bytes = packed + packed_halves_bytes + vector * vector_bytes;
        hn::Vec<Ints> sums[n_tokens];
        std::fill_n(sums, n_tokens, hn::Zero(Ints()));
        for (size_t k = 0; k < 8; ++k) {
            const auto stored = load_weights<n_tokens>(bytes + k * group_bytes);
            const auto weights = hn::BitCast(SignedBytes(), hn::Xor(stored, hn::Set(Bytes(), 128)));
            const auto sizes = hn::BitCast(Bytes(), hn::Abs(weights));
            for (size_t t = 0; t < n_tokens; ++t) {
                const auto values = four_columns(tokens[t], k);
                const hn::Vec<SignedBytes> signed_values{_mm256_sign_epi8(values.raw, weights.raw)};
                sums[t] = InPairs::add(sums[t], multiply_pairs(sizes, signed_values));
            }
        }
        const auto scale = load_halves<n_tokens>(packed, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            totals[t] = add_block_sum(totals[t], sums[t], scale, tokens[t]);
        }
    }
};

#endif

template <typename Sums>
struct Q4K {
    static constexpr PackedFormat format = PackedFormat::q4_k;

    template <size_t n_tokens>
    static HWY_INLINE void add_group(const std::byte* weights, const TokenBlocks<n_tokens>& tokens,
                                     size_t group, typename Sums::Scale scale, hn::Vec<Ints>* sums) {
        typename Sums::Sum products[n_tokens];
        std::fill_n(products, n_tokens, Sums::zero());
        for (size_t k = 0; k < 4; ++k) {
            const Weights w = low_bits_at<n_tokens>(weights + k * group_bytes);
            for (size_t t = 0; t < n_tokens; ++t) {
                products[t] =
                    Sums::add_products(products[t], w.first, four_columns(tokens[t], 8 * group + k));
                products[t] =
                    Sums::add_products(products[t], w.second, four_columns(tokens[t], 8 * group + 4 + k));
            }
        }
        for (size_t t = 0; t < n_tokens; ++t) {
            sums[t] = Sums::add_scaled(sums[t], products[t], scale);
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
            const auto both = load_pairs<n_tokens, uint8_t>(scales + pair * packed_pairs_bytes, vector);
            const std::byte* first = weights + 2 * pair * packed_low_bytes;
            add_group(first, tokens, 2 * pair, Sums::first_scale(both), sums);
            add_group(first + packed_low_bytes, tokens, 2 * pair + 1, Sums::second_scale(both), sums);
            const auto least = load_pairs<n_tokens, uint8_t>(smallest + pair * packed_pairs_bytes, vector);
            for (size_t t = 0; t < n_tokens; ++t) {
                offsets[t] = Sums::add_pairs(offsets[t], least,
                                             sums_of(tokens[t] + RoundedBlock256::sums_of_32_begin, pair));
            }
        }
        const auto scale = load_halves<n_tokens>(packed, vector);
        const auto offset_scale = load_halves<n_tokens>(packed + packed_halves_bytes, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            const auto of_token = token_scale(tokens[t]);
            totals[t] = hn::MulAdd(hn::ConvertTo(Floats(), sums[t]), hn::Mul(scale, of_token), totals[t]);
            totals[t] = hn::NegMulAdd(hn::ConvertTo(Floats(), offsets[t]), hn::Mul(offset_scale, of_token),
                                      totals[t]);
        }
    }
};

template <typename Sums>
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
        const auto first_scales = first_of(scales);
        const auto second_scales = second_of(scales);
        for (size_t m = 0; m < 2; ++m) {
            const auto upper =
                hn::BitCast(Words(), load_weights<n_tokens>(weights + packed_low_bytes + m * group_bytes));
            const Weights low_a = low_bits_at<n_tokens>(weights + 2 * m * group_bytes);
            const Weights low_b = low_bits_at<n_tokens>(weights + (2 * m + 1) * group_bytes);
            const Weights a = {whole(low_a.first, hn::ShiftLeft<4>(upper)),
                               whole(low_a.second, hn::ShiftLeft<2>(upper))};
            const Weights b = {whole(low_b.first, upper), whole(low_b.second, hn::ShiftRight<2>(upper))};
            const size_t column = 8 * pair + 2 * m; // by four
            for (size_t t = 0; t < n_tokens; ++t) {
                const auto first = hn::Add(multiply_pairs(a.first, four_columns(tokens[t], column)),
                                           multiply_pairs(b.first, four_columns(tokens[t], column + 1)));
                const auto second = hn::Add(multiply_pairs(a.second, four_columns(tokens[t], column + 4)),
                                            multiply_pairs(b.second, four_columns(tokens[t], column + 5)));
                sums[t] =
                    Sums::add_pairs(Sums::add_pairs(sums[t], first, first_scales), second, second_scales);
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
            const auto scales = load_pairs<n_tokens, int8_t>(pairs + pair * packed_pairs_bytes, vector);
            add_32_columns(weights + pair * group_32_bytes, tokens, pair, scales, sums);
            for (size_t t = 0; t < n_tokens; ++t) {
                offsets[t] = Sums::add_pairs(offsets[t], scales,
                                             sums_of(tokens[t] + RoundedBlock256::sums_of_16_begin, pair));
            }
        }
        const auto scale = load_halves<n_tokens>(packed, vector);
        for (size_t t = 0; t < n_tokens; ++t) {
            const auto sum = hn::Sub(sums[t], hn::ShiftLeft<5>(offsets[t]));
            totals[t] =
                hn::MulAdd(hn::ConvertTo(Floats(), sum), hn::Mul(scale, token_scale(tokens[t])), totals[t]);
        }
    }
};

// What blocks of one vector's rows add to its products. Weights are taken apart in registers, once for a few
// tokens.
template <typename Format, size_t n_tokens>
HWY_INLINE void add_blocks(const std::byte* packed, size_t n_blocks, size_t vector,
                           TokenBlocks<n_tokens> tokens, hn::Vec<Floats>* totals) {
    constexpr PackedBlock block = packed_block(Format::format);
    hn::Vec<Floats> in_registers[n_tokens];
    std::copy_n(totals, n_tokens, in_registers);
    for (size_t i = 0; i < n_blocks; ++i) {
        Format::add_block(packed + i * block.n_bytes, vector, tokens, in_registers);
        for (const std::byte*& token : tokens) {
            token += block.n_token_bytes;
        }
    }
    std::copy_n(in_registers, n_tokens, totals);
}

// Vectors take turns every so many columns: were the strip gone through once for each, memory would rest for
// all but the first.
constexpr size_t n_columns_a_turn = 256;

template <typename Format, size_t n_tokens>
HWY_NOINLINE void multiply_tile(const PackedProduct& product, size_t first_token, const std::byte* strip,
                                float* products) {
    constexpr PackedBlock block = packed_block(Format::format);
    TokenBlocks<n_tokens> tokens;
    for (size_t t = 0; t < n_tokens; ++t) {
        tokens[t] = product.tokens + (first_token + t) * product.token_bytes();
    }
    hn::Vec<Floats> totals[n_vectors][n_tokens];
    for (auto& of_vector : totals) {
        std::fill_n(of_vector, n_tokens, hn::Zero(Floats()));
    }
    for (size_t column = 0; column < product.n_columns; column += n_columns_a_turn) {
        const size_t n_blocks = std::min(product.n_columns - column, n_columns_a_turn) / block.n_columns;
        for (size_t vector = 0; vector < n_vectors; ++vector) {
            add_blocks<Format>(strip, n_blocks, vector, tokens, totals[vector]);
        }
        strip += n_blocks * block.n_bytes;
        for (const std::byte*& token : tokens) {
            token += n_blocks * block.n_token_bytes;
        }
    }
    for (size_t t = 0; t < n_tokens; ++t) {
        float* to = products + (first_token + t) * product.n_rows();
        for (size_t vector = 0; vector < n_vectors; ++vector) {
            hn::StoreU(totals[vector][t], Floats(), to + vector * vector_rows);
        }
    }
}

// The tokens from `first_token` on, no more than n_max.
template <typename Format, size_t n_max>
void multiply_rest(const PackedProduct& product, size_t first_token, const std::byte* strip,
                   float* products) {
    if (product.n_tokens - first_token == n_max) {
        return multiply_tile<Format, n_max>(product, first_token, strip, products);
    }
    if constexpr (n_max > 1) {
        multiply_rest<Format, n_max - 1>(product, first_token, strip, products);
    }
}

template <typename Format>
void multiply_by_tiles(const PackedProduct& product, size_t strip) {
    const std::byte* packed = product.matrix + strip * product.strip_bytes();
    float* products = product.products + strip * packed_rows;
    size_t i = 0;
    for (; i + tile_tokens <= product.n_tokens; i += tile_tokens) {
        multiply_tile<Format, tile_tokens>(product, i, packed, products);
    }
    multiply_rest<Format, tile_tokens - 1>(product, i, packed, products);
}

template <typename Sums>
void multiply_adding(const PackedProduct& product, size_t strip) {
    switch (product.format) {
    case PackedFormat::q5_0:
        return multiply_by_tiles<Q5<Sums>>(product, strip);
    case PackedFormat::q8_0:
        return multiply_by_tiles<Q8<Sums>>(product, strip);
    case PackedFormat::q4_k:
        return multiply_by_tiles<Q4K<Sums>>(product, strip);
    case PackedFormat::q6_k:
        return multiply_by_tiles<Q6K<Sums>>(product, strip);
    }
}

// Whether the processor has VNNI. Highway knows of it with AVX-512 alone.
bool adds_at_once() {
#if HWY_TARGET == HWY_AVX2
    static const bool has_avx_vnni = [] {
        unsigned eax = 0;
        unsigned ebx = 0;
        unsigned ecx = 0;
        unsigned edx = 0;
        return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4U & 1U) != 0;
    }();
    return has_avx_vnni;
#else
    return HWY_TARGET <= HWY_AVX3_DL;
#endif
}

using EightFloats = hn::CappedTag<float, 8>;
using EightInts = hn::CappedTag<int32_t, 8>;

float largest_of(const float* values, size_t n) {
    const EightFloats d;
    auto largest = hn::Zero(d);
    for (size_t i = 0; i < n; i += 8) {
        largest = hn::Max(largest, hn::Abs(hn::LoadU(d, values + i)));
    }
    return hn::GetLane(hn::MaxOfLanes(d, largest));
}

// Eight numbers to as many bytes, by way of 16 bits, since Highway 1.0 takes the short way wrongly for one
// target; the sum of their integers. Tokens that are no numbers may add up to anything; vectors wrap around.
HWY_INLINE int32_t round_eight(const float* values, float factor, std::byte* rounded) {
    const EightFloats d;
    const auto integers = hn::NearestInt(hn::Mul(hn::LoadU(d, values), hn::Set(d, factor)));
    const hn::CappedTag<int8_t, 8> bytes;
    const auto shorts = hn::DemoteTo(hn::CappedTag<int16_t, 8>(), integers);
    hn::StoreU(hn::DemoteTo(bytes, shorts), bytes, reinterpret_cast<int8_t*>(rounded));
    return hn::GetLane(hn::SumOfLanes(EightInts(), integers));
}

void round_block_32(const float* HWY_RESTRICT values, std::byte* HWY_RESTRICT rounded) {
    const float unit = largest_of(values, RoundedBlock32::n_columns) / largest_byte;
    const float scale = ggml_fp16_to_fp32(ggml_fp32_to_fp16(unit));
    const float factor = scale == 0 ? 0.0F : 1.0F / unit;
    uint32_t sum = 0;
    for (size_t i = 0; i < RoundedBlock32::n_columns; i += 8) {
        sum += static_cast<uint32_t>(round_eight(values + i, factor, rounded + i));
    }
    const uint32_t correction = 0U - 16U * sum;
    std::memcpy(rounded + RoundedBlock32::scale_begin, &scale, sizeof(scale));
    std::memcpy(rounded + RoundedBlock32::correction_begin, &correction, sizeof(correction));
}

void round_block_256(const float* HWY_RESTRICT values, std::byte* HWY_RESTRICT rounded) {
    const float most = largest_of(values, RoundedBlock256::n_columns);
    const float factor = most == 0 ? 0.0F : largest_byte / most;
    const float scale = most == 0 ? 0.0F : 1.0F / factor;
    std::array<int16_t, RoundedBlock256::n_columns / 16> sums_of_16{};
    std::array<int16_t, RoundedBlock256::n_columns / 32> sums_of_32{};
    for (size_t i = 0; i < RoundedBlock256::n_columns; i += 8) {
        const auto sum = static_cast<int16_t>(round_eight(values + i, factor, rounded + i));
        sums_of_16[i / 16] = static_cast<int16_t>(sums_of_16[i / 16] + sum);
        sums_of_32[i / 32] = static_cast<int16_t>(sums_of_32[i / 32] + sum);
    }
    std::memcpy(rounded + RoundedBlock256::sums_of_16_begin, sums_of_16.data(), sizeof(sums_of_16));
    std::memcpy(rounded + RoundedBlock256::sums_of_32_begin, sums_of_32.data(), sizeof(sums_of_32));
    std::memcpy(rounded + RoundedBlock256::scale_begin, &scale, sizeof(scale));
}

} // namespace

void multiply_strip(const PackedProduct& product, size_t strip) {
#if HWY_TARGET == HWY_AVX2
    return adds_at_once() ? multiply_adding<AtOnce>(product, strip)
                          : multiply_adding<InPairs>(product, strip);
#elif HWY_TARGET == HWY_AVX3
    return multiply_adding<InPairs>(product, strip);
#else
    return multiply_adding<AtOnce>(product, strip);
#endif
}

void round_block(PackedFormat format, const float* values, std::byte* rounded) {
    const bool is_of_32 = packed_block(format).n_columns == RoundedBlock32::n_columns;
    const auto round = is_of_32 ? round_block_32 : round_block_256;
    round(values, rounded);
}

bool has_kernels() {
    return true;
}

#else

void multiply_strip(const PackedProduct&, size_t) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}
void round_block(PackedFormat, const float*, std::byte*) {
    PIE_CHECK(false, "matrices are packed where this is not called");
}
bool has_kernels() {
    return false;
}

#endif

} // namespace pie::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace pie {

HWY_EXPORT(has_kernels);
HWY_EXPORT(multiply_strip);
HWY_EXPORT(round_block);

namespace {

// Strips, and tokens, that are gone through again and again before the next ones: about a quarter each of
// what processors keep in a core's second cache.
constexpr size_t cached_bytes = size_t{128} << 10U;

PackedProduct of_tokens(PackedProduct product, size_t begin, size_t n_max) {
    product.tokens += begin * product.token_bytes();
    product.products += begin * product.n_rows();
    product.n_tokens = std::min(product.n_tokens - begin, n_max);
    return product;
}

} // namespace

bool can_multiply_packed() {
    return HWY_DYNAMIC_DISPATCH(has_kernels)();
}

void round_token(PackedFormat format, std::span<const float> token, std::byte* rounded) {
    const PackedBlock block = packed_block(format);
    for (size_t i = 0; i < token.size(); i += block.n_columns, rounded += block.n_token_bytes) {
        HWY_DYNAMIC_DISPATCH(round_block)(format, &token[i], rounded);
    }
}

void multiply_packed(const PackedProduct& product, size_t begin_strip, size_t end_strip) {
    const size_t n_strips = std::max(cached_bytes / product.strip_bytes(), size_t{1});
    const size_t n_tokens = std::max(cached_bytes / product.token_bytes() / 8, size_t{1}) * 8;
    for (size_t strips = begin_strip; strips < end_strip; strips += n_strips) {
        for (size_t tokens = 0; tokens < product.n_tokens; tokens += n_tokens) {
            const PackedProduct part = of_tokens(product, tokens, n_tokens);
            for (size_t strip = strips; strip < std::min(strips + n_strips, end_strip); ++strip) {
                HWY_DYNAMIC_DISPATCH(multiply_strip)(part, strip);
            }
        }
    }
}

} // namespace pie

#endif
