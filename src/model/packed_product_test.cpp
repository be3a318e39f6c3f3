#include "model/packed_matrix.h"
#include "model/packed_product.h"
#include "model/product.h"
#include "model/random_numbers.h"
#include "model/repacking.h"
#include "support/instruction_sets.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace {

using pie::testing::random_numbers;

// A matrix as a file has it, and packed.
class Matrix {
  public:
    Matrix(ggml_type type, size_t n_columns, const std::vector<float>& weights)
        : file_(pie::make_matrix_copy(
                    "matrix", type,
                    {static_cast<int64_t>(n_columns), static_cast<int64_t>(weights.size() / n_columns), 1},
                    ggml_backend_cpu_buffer_type())
                    .value()) {
        ggml_quantize_chunk(type, weights.data(), file_.tensor->data, 0, file_.tensor->ne[1],
                            file_.tensor->ne[0], nullptr);
        packed_ = pie::pack(*file_.tensor).value();
    }

    const ggml_tensor& packed() const { return *packed_.tensor; }
    std::vector<float> expected(std::span<const float> tokens) const {
        return pie::product(file_.tensor, tokens);
    }
    std::vector<float> product(std::span<const float> tokens) const {
        const pie::PackedFormat format = pie::packed_format(packed());
        const auto n_columns = static_cast<size_t>(pie::matrix_columns(packed()));
        const size_t n_tokens = tokens.size() / n_columns;
        const size_t token_bytes = pie::rounded_token_bytes(format, n_columns);
        std::vector<std::byte> rounded(token_bytes * n_tokens);
        for (size_t i = 0; i < n_tokens; ++i) {
            pie::round_token(format, tokens.subspan(i * n_columns, n_columns), &rounded[i * token_bytes]);
        }
        std::vector<float> products(static_cast<size_t>(pie::matrix_rows(packed())) * n_tokens);
        const auto n_strips = static_cast<size_t>(packed().ne[1]);
        pie::multiply_packed({.format = format,
                              .matrix = static_cast<const std::byte*>(packed().data),
                              .n_columns = n_columns,
                              .tokens = rounded.data(),
                              .n_tokens = n_tokens,
                              .products = products.data(),
                              .n_strips = n_strips},
                             0, n_strips);
        return products;
    }

  private:
    pie::MatrixCopy file_;
    pie::MatrixCopy packed_;
};

constexpr std::array packed_types = {GGML_TYPE_Q5_0, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K};

// None on a processor that has no kernels.
std::span<const ggml_type> types_with_kernels() {
    if (!pie::can_multiply_packed()) {
        MESSAGE("left out: this processor has no kernels for packed matrices");
        return {};
    }
    return packed_types;
}

double length(std::span<const float> values) {
    double sum = 0;
    for (const float value : values) {
        sum += static_cast<double>(value) * static_cast<double>(value);
    }
    return std::sqrt(sum);
}

// Rounding of sums alone: blocks have the same integers and scales in both.
void check_near(std::span<const float> products, std::span<const float> expected) {
    REQUIRE(products.size() == expected.size());
    std::vector<float> difference(products.size());
    std::ranges::transform(products, expected, difference.begin(), std::minus<>());
    CHECK(length(difference) <= 1e-6 * length(expected));
}

} // namespace

TEST_CASE("a packed matrix multiplies as the file's does, whatever its size and the number of tokens") {
    for (const ggml_type type : types_with_kernels()) {
        CAPTURE(ggml_type_name(type));
        for (const size_t n_blocks : {1U, 2U, 7U}) {
            CAPTURE(n_blocks);
            const size_t n_columns = n_blocks * static_cast<size_t>(ggml_blck_size(type));
            for (const size_t n_rows : {16U, 48U, 128U}) {
                CAPTURE(n_rows);
                const Matrix matrix(type, n_columns, random_numbers(n_columns * n_rows, 1));
                CHECK(pie::is_packed(matrix.packed()));
                CHECK(pie::matrix_rows(matrix.packed()) == n_rows);
                for (size_t n_tokens = 1; n_tokens <= 13; ++n_tokens) {
                    CAPTURE(n_tokens);
                    const std::vector<float> tokens = random_numbers(n_columns * n_tokens, 2);
                    check_near(matrix.product(tokens), matrix.expected(tokens));
                }
            }
        }
    }
}

TEST_CASE("sums of the largest integers are exact") {
    if (types_with_kernels().empty()) {
        return;
    }
    // Nearly all weights of a block are of the largest integer that there is above the smallest; one that is
    // smaller, or larger, sets the scale.
    struct Extreme {
        ggml_type type;
        size_t n_group; // weights with one scale
        float most;
        float other;
        double error; // of the scales, which only Q4_K has to round
    };
    constexpr size_t n_columns = 256;
    for (const Extreme& of :
         {Extreme{GGML_TYPE_Q5_0, 32, 15, -16, 0}, Extreme{GGML_TYPE_Q8_0, 32, 127, -127, 0},
          Extreme{GGML_TYPE_Q4_K, 32, 15, 0, 0.002}, Extreme{GGML_TYPE_Q6_K, 16, 31, -32, 0}}) {
        CAPTURE(ggml_type_name(of.type));
        for (const float sign : {-1.0F, 1.0F}) {
            CAPTURE(sign);
            std::vector<float> weights(n_columns * 16, of.most);
            for (size_t i = 0; i < weights.size(); i += of.n_group) {
                weights[i] = of.other;
            }
            const Matrix matrix(of.type, n_columns, weights);
            const std::vector<float> token(n_columns, sign * 127.0F);
            check_near(matrix.product(token), matrix.expected(token));
            const auto n_group = static_cast<double>(of.n_group);
            const double sum = static_cast<double>(of.most) * (n_group - 1) + static_cast<double>(of.other);
            const double exact = n_columns / n_group * sum * 127.0 * static_cast<double>(sign);
            for (const float value : matrix.product(token)) {
                CHECK(std::abs(static_cast<double>(value) - exact) <= of.error * std::abs(exact));
            }
        }
    }
}

TEST_CASE("a token of zeros, or of numbers too small for a scale, has products of zero") {
    for (const ggml_type type : types_with_kernels()) {
        CAPTURE(ggml_type_name(type));
        const Matrix matrix(type, 256, random_numbers(256 * 16, 1));
        for (const float number : {0.0F, 1e-40F}) {
            for (const float value : matrix.product(std::vector<float>(256, number))) {
                CHECK(value == 0.0F);
            }
        }
    }
}

TEST_CASE("a token that is no number spoils its own products alone") {
    for (const ggml_type type : types_with_kernels()) {
        CAPTURE(ggml_type_name(type));
        const Matrix matrix(type, 256, random_numbers(256 * 16, 1));
        std::vector<float> tokens = random_numbers(256 * 2, 2);
        const std::vector<float> expected = matrix.product(std::span(tokens).first(256));
        for (const float number : {std::nanf(""), INFINITY, -INFINITY}) {
            std::fill(tokens.begin() + 256, tokens.end(), number);
            const std::vector<float> products = matrix.product(tokens);
            CHECK(std::ranges::equal(std::span(products).first(16), expected));
        }
    }
}

TEST_CASE("a token has the same products, to the bit, in every batch") {
    constexpr size_t n_columns = 1024;
    constexpr size_t n_rows = 64;
    for (const ggml_type type : types_with_kernels()) {
        CAPTURE(ggml_type_name(type));
        const Matrix matrix(type, n_columns, random_numbers(n_columns * n_rows, 1));
        const std::vector<float> tokens = random_numbers(n_columns * 13, 2);
        const std::vector<float> together = matrix.product(tokens);
        for (size_t i = 0; i < 13; ++i) {
            const auto alone = matrix.product(std::span(tokens).subspan(i * n_columns, n_columns));
            CHECK(std::ranges::equal(alone, std::span(together).subspan(i * n_rows, n_rows)));
        }
    }
}

TEST_CASE("a token has the same products, to the bit, with every instruction set that has kernels") {
    constexpr size_t n_columns = 512;
    for (const ggml_type type : types_with_kernels()) {
        CAPTURE(ggml_type_name(type));
        const Matrix matrix(type, n_columns, random_numbers(n_columns * 32, 1));
        const std::vector<float> tokens = random_numbers(n_columns * 13, 2);
        const std::vector<float> expected = matrix.product(tokens);
        pie::testing::for_each_instruction_set([&] {
            if (pie::can_multiply_packed()) {
                CHECK(std::ranges::equal(matrix.product(tokens), expected));
            }
        });
    }
}

TEST_CASE("some types are packed, one matrix of whole strips, and only where the processor can") {
    const bool can = pie::can_multiply_packed();
    for (const ggml_type type : packed_types) {
        CAPTURE(ggml_type_name(type));
        const bool has_faster = pie::repacking_memory(type, 256, 32) != nullptr;
        CHECK((!can || has_faster || pie::is_to_be_packed(type, 256, 32)));
        CHECK((can || !pie::is_to_be_packed(type, 256, 32)));
        CHECK_FALSE(pie::is_to_be_packed(type, 256, 24));
        CHECK_FALSE(pie::is_to_be_packed(type, 256, 32, 4));
    }
    // ggml has kernels for it as well, of which those with AMX alone are faster.
    CHECK(pie::is_to_be_packed(GGML_TYPE_Q4_K, 256, 32) == (can && ggml_cpu_has_amx_int8() == 0));
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q4_0, GGML_TYPE_Q5_1}) {
        CHECK_FALSE(pie::is_to_be_packed(type, 256, 32));
    }
}
