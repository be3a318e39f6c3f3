#pragma once

// What the tests of the rotation share: keys of every type, and a rotation in double precision, pair by pair,
// of what ggml's own conversions read from them. Angles come from rope_frequencies, which rope_test.cpp holds
// against ggml's rotary operator.

#include "cache/rotation.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <random>
#include <string>
#include <utility>

namespace pie::rotation_oracle {

constexpr ggml_type types[] = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0};
constexpr RopeLayout layouts[] = {RopeLayout::neox, RopeLayout::interleaved};

inline std::vector<float> random_floats(size_t n, std::mt19937& random) {
    std::normal_distribution<float> normal(0.0F, 3.0F);
    std::vector<float> values(n);
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
    return values;
}

// The keys of some cells, with a few bytes between the rows that nobody may touch.
struct Keys {
    Keys(ggml_type key_type, const RopeParams& params, int32_t heads, int32_t cells,
         const std::vector<float>& values)
        : type(key_type), n_head(heads), n_cells(cells), row_size(heads * params.head_dim),
          row_bytes(ggml_row_size(key_type, row_size) + 4),
          data(row_bytes * static_cast<size_t>(cells), std::byte{7}) {
        for (int32_t c = 0; c < cells; ++c) {
            set_row(c, values.data() + static_cast<size_t>(c) * static_cast<size_t>(row_size));
        }
    }

    std::byte* row(int32_t cell) { return data.data() + static_cast<size_t>(cell) * row_bytes; }
    const std::byte* row(int32_t cell) const { return data.data() + static_cast<size_t>(cell) * row_bytes; }
    KeyRows rows() { return {data.data(), type, n_head, row_bytes}; }

    void set_row(int32_t cell, const float* values) {
        ggml_quantize_chunk(type, values, row(cell), 0, 1, row_size, nullptr);
    }
    std::vector<float> floats(int32_t cell) const {
        std::vector<float> values(static_cast<size_t>(row_size));
        if (type == GGML_TYPE_F32) {
            std::memcpy(values.data(), row(cell), values.size() * sizeof(float));
        } else {
            ggml_get_type_traits(type)->to_float(row(cell), values.data(), row_size);
        }
        return values;
    }

    ggml_type type;
    int32_t n_head;
    int32_t n_cells;
    int64_t row_size;
    size_t row_bytes;
    std::vector<std::byte> data;
};

inline std::pair<size_t, size_t> pair_of(size_t j, const RopeParams& params) {
    const auto half = static_cast<size_t>(params.n_rot) / 2;
    return params.layout == RopeLayout::neox ? std::pair(j, j + half) : std::pair(2 * j, 2 * j + 1);
}

inline std::vector<double> naive_rotation(const std::vector<float>& row, const RopeParams& params,
                                          int32_t delta) {
    std::vector<double> turned(row.begin(), row.end());
    const std::vector<double> frequencies = rope_frequencies(params);
    for (size_t head = 0; head < row.size(); head += static_cast<size_t>(params.head_dim)) {
        for (size_t j = 0; j < frequencies.size(); ++j) {
            const auto [first, second] = pair_of(j, params);
            const double angle = delta * frequencies[j];
            const double a = static_cast<double>(row[head + first]);
            const double b = static_cast<double>(row[head + second]);
            turned[head + first] = a * std::cos(angle) - b * std::sin(angle);
            turned[head + second] = a * std::sin(angle) + b * std::cos(angle);
        }
    }
    return turned;
}

inline double largest(const std::vector<double>& values) {
    double result = 0;
    for (const double value : values) {
        result = std::max(result, std::abs(value));
    }
    return result;
}

// How far the value that `type` holds may lie from `values[i]` when it was rounded to nearest, once. Float
// arithmetic on the way adds a few of its own roundings of the largest value, `around`.
inline double rounding_bound(ggml_type type, const std::vector<double>& values, size_t i, double around) {
    const double arithmetic = 4e-7 * around;
    const double value = std::abs(values[i]) + arithmetic;
    if (type == GGML_TYPE_F32) {
        return arithmetic;
    }
    if (type == GGML_TYPE_F16) {
        return std::ldexp(0.5, std::max(std::ilogb(value), -14) - 10) + arithmetic;
    }
    if (type == GGML_TYPE_BF16) {
        return std::ldexp(0.5, std::ilogb(value) - 7) + arithmetic;
    }
    const double* block = values.data() + i / 32 * 32;
    const auto [lowest, highest] = std::minmax_element(block, block + 32);
    const double step = std::max(-*lowest, *highest) / (type == GGML_TYPE_Q8_0 ? 127 : 8);
    double steps = 0.5;
    if (type ==
        GGML_TYPE_Q4_0) { // from -8 to 7, and the extreme is -8: the other end of the range is cut off
        const double opposite = -*lowest > *highest ? values[i] : -values[i];
        const bool has_two_extremes = std::abs(-*lowest - *highest) < arithmetic;
        steps = std::max(0.5, (has_two_extremes ? std::abs(values[i]) : opposite) / step - 7);
    }
    // The scale is rounded to half precision after the integers were found.
    return steps * step + (value + step) * 0x1p-11 + arithmetic;
}

inline std::vector<CellIndex> cells(std::initializer_list<int32_t> indices) {
    std::vector<CellIndex> result;
    std::transform(indices.begin(), indices.end(), std::back_inserter(result),
                   [](int32_t i) { return CellIndex(i); });
    return result;
}

struct Variant {
    std::string name;
    RopeParams params;
};

// Rotary variants, each with a head that the quantised types can hold.
inline std::vector<Variant> variants() {
    std::vector<Variant> all;
    all.push_back({"plain", RopeParams{.head_dim = 128, .n_rot = 128}});
    all.push_back({"linear", RopeParams{.head_dim = 64, .n_rot = 64, .freq_scale = 0.25F}});
    RopeParams yarn{.head_dim = 64, .n_rot = 64, .freq_base = 1e6F, .freq_scale = 0.25F, .ext_factor = 1.0F};
    yarn.n_ctx_orig = 32768;
    yarn.attn_factor = 0.9F;
    all.push_back({"YaRN", yarn});
    RopeParams llama3{.head_dim = 64, .n_rot = 64, .freq_base = 5e5F};
    for (size_t j = 0; j < 32; ++j) {
        llama3.freq_factors.push_back(j < 12 ? 1.0F : j < 18 ? static_cast<float>(j) / 6 : 8.0F);
    }
    all.push_back({"frequency factors", llama3});
    all.push_back({"partial", RopeParams{.head_dim = 96, .n_rot = 54}});
    return all;
}

template <class Check>
void for_each_variant(Check check) {
    for (Variant variant : variants()) {
        for (const RopeLayout layout : layouts) {
            variant.params.layout = layout;
            CAPTURE(variant.name);
            CAPTURE(static_cast<int>(layout));
            check(variant.params);
        }
    }
}

inline double largest_norm(const std::vector<float>& row, const RopeParams& params) {
    double norm = 0;
    for (size_t head = 0; head < row.size(); head += static_cast<size_t>(params.head_dim)) {
        for (size_t j = 0; j < static_cast<size_t>(params.n_rot) / 2; ++j) {
            const auto [first, second] = pair_of(j, params);
            norm = std::max(norm, std::hypot(static_cast<double>(row[head + first]),
                                             static_cast<double>(row[head + second])));
        }
        for (auto i = static_cast<size_t>(params.n_rot); i < static_cast<size_t>(params.head_dim); ++i) {
            norm = std::max(norm, std::abs(static_cast<double>(row[head + i])));
        }
    }
    return norm;
}

// The distance between two neighbouring values of a type, where no pair of the row is longer than `norm`.
inline double type_step(ggml_type type, double norm) {
    switch (type) {
    case GGML_TYPE_F16:
        return std::ldexp(1.0, std::ilogb(norm) - 10);
    case GGML_TYPE_BF16:
        return std::ldexp(1.0, std::ilogb(norm) - 7);
    case GGML_TYPE_Q8_0:
        return norm / 127;
    case GGML_TYPE_Q4_0:
        return norm / 8;
    default:
        return norm * 1e-6;
    }
}

struct Distance {
    double largest = 0;
    double rms = 0;
};

// Between the rows of two caches, in steps of the type.
inline Distance distance(const Keys& a, const Keys& b, const RopeParams& params) {
    Distance result;
    double sum = 0;
    for (int32_t c = 0; c < a.n_cells; ++c) {
        const std::vector<float> row_a = a.floats(c);
        const std::vector<float> row_b = b.floats(c);
        const double step =
            type_step(a.type, std::max(largest_norm(row_a, params), largest_norm(row_b, params)));
        for (size_t i = 0; i < row_a.size(); ++i) {
            const double steps =
                std::abs(static_cast<double>(row_a[i]) - static_cast<double>(row_b[i])) / step;
            result.largest = std::max(result.largest, steps);
            sum += steps * steps;
        }
    }
    result.rms = std::sqrt(sum / static_cast<double>(a.n_cells * a.row_size));
    return result;
}

inline void rotate_all(Keys& keys, const RopeParams& params, int32_t delta) {
    std::vector<CellIndex> all;
    for (int32_t c = 0; c < keys.n_cells; ++c) {
        all.emplace_back(c);
    }
    rotate_rows(keys.rows(), all, RotationTable(params, delta));
}

inline Keys random_keys(ggml_type type, const RopeParams& params, std::mt19937& random) {
    const int32_t n_cells = 12;
    return {type, params, 2, n_cells,
            random_floats(static_cast<size_t>(2 * params.head_dim * n_cells), random)};
}

} // namespace pie::rotation_oracle
