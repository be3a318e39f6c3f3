#include "model/packed_matrix.h"
#include "model/packed_product.h"
#include "model/product.h"
#include "model/random_numbers.h"
#include "model/repacking.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>

#include <algorithm>
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
    Matrix(int64_t n_columns, const std::vector<float>& weights)
        : file_(pie::make_matrix_copy("matrix", GGML_TYPE_Q5_0, n_columns,
                                      static_cast<int64_t>(weights.size()) / n_columns,
                                      ggml_backend_cpu_buffer_type())
                    .value()) {
        ggml_quantize_chunk(GGML_TYPE_Q5_0, weights.data(), file_.tensor->data, 0, file_.tensor->ne[1],
                            n_columns, nullptr);
        packed_ = pie::pack(*file_.tensor).value();
    }

    const ggml_tensor& packed() const { return *packed_.tensor; }
    std::vector<float> expected(std::span<const float> tokens) const {
        return pie::product(file_.tensor, tokens);
    }
    std::vector<float> product(std::span<const float> tokens) const {
        const int64_t n_columns = pie::matrix_columns(packed());
        const int64_t n_tokens = static_cast<int64_t>(tokens.size()) / n_columns;
        const size_t token_bytes = pie::rounded_token_bytes(n_columns);
        std::vector<std::byte> rounded(token_bytes * static_cast<size_t>(n_tokens));
        for (size_t i = 0; i < static_cast<size_t>(n_tokens); ++i) {
            const auto n = static_cast<size_t>(n_columns);
            pie::round_token(tokens.subspan(i * n, n), &rounded[i * token_bytes]);
        }
        std::vector<float> products(static_cast<size_t>(pie::matrix_rows(packed()) * n_tokens));
        const int64_t n_strips = packed().ne[1];
        pie::multiply_packed({static_cast<const std::byte*>(packed().data), n_columns, rounded.data(),
                              n_tokens, products.data(), n_strips},
                             0, n_strips);
        return products;
    }

  private:
    pie::MatrixCopy file_;
    pie::MatrixCopy packed_;
};

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

bool is_left_out() {
    if (!pie::can_multiply_packed()) {
        MESSAGE("left out: this processor has no kernels for packed matrices");
    }
    return !pie::can_multiply_packed();
}

} // namespace

TEST_CASE("a packed matrix multiplies as the file's does, whatever its size and the number of tokens") {
    if (is_left_out()) {
        return;
    }
    for (const int64_t n_columns : {32, 64, 896}) {
        for (const int64_t n_rows : {16, 48, 128}) {
            const Matrix matrix(n_columns, random_numbers(n_columns * n_rows, 1));
            CHECK(pie::is_packed(matrix.packed()));
            CHECK(pie::matrix_rows(matrix.packed()) == n_rows);
            for (int64_t n_tokens = 1; n_tokens <= 9; ++n_tokens) {
                CAPTURE(n_columns);
                CAPTURE(n_rows);
                CAPTURE(n_tokens);
                const std::vector<float> tokens = random_numbers(n_columns * n_tokens, 2);
                check_near(matrix.product(tokens), matrix.expected(tokens));
            }
        }
    }
}

TEST_CASE("sums of the largest integers are exact") {
    if (is_left_out()) {
        return;
    }
    constexpr int64_t n_columns = 64;
    for (const float sign : {-1.0F, 1.0F}) {
        // Nearly all weights of a block are 15 times its scale, which one of -16 times sets.
        std::vector<float> weights(n_columns * 16, 15.0F);
        for (size_t i = 0; i < weights.size(); i += 32) {
            weights[i] = -16.0F;
        }
        const Matrix matrix(n_columns, weights);
        const std::vector<float> token(n_columns, sign * 127.0F);
        const double exact = 2.0 * (31.0 * 15.0 - 16.0) * 127.0 * static_cast<double>(sign);
        for (const float value : matrix.product(token)) {
            CHECK(static_cast<double>(value) == exact);
        }
    }
}

TEST_CASE("a token of zeros, or of numbers too small for a scale, has products of zero") {
    if (is_left_out()) {
        return;
    }
    const Matrix matrix(64, random_numbers(64 * 16, 1));
    for (const float number : {0.0F, 1e-9F, 1e-40F}) {
        for (const float value : matrix.product(std::vector<float>(64, number))) {
            CHECK(value == 0.0F);
        }
    }
}

TEST_CASE("a token that is no number spoils its own products alone") {
    if (is_left_out()) {
        return;
    }
    const Matrix matrix(64, random_numbers(64 * 16, 1));
    std::vector<float> tokens = random_numbers(64 * 2, 2);
    const std::vector<float> expected = matrix.product(std::span(tokens).first(64));
    for (const float number : {std::nanf(""), INFINITY, -INFINITY}) {
        std::fill(tokens.begin() + 64, tokens.end(), number);
        const std::vector<float> products = matrix.product(tokens);
        CHECK(std::ranges::equal(std::span(products).first(16), expected));
    }
}

TEST_CASE("a token has the same products, to the bit, in every batch") {
    if (is_left_out()) {
        return;
    }
    constexpr int64_t n_columns = 896;
    constexpr size_t n_rows = 64;
    const Matrix matrix(n_columns, random_numbers(n_columns * static_cast<int64_t>(n_rows), 1));
    const std::vector<float> tokens = random_numbers(n_columns * 11, 2);
    const std::vector<float> together = matrix.product(tokens);
    for (size_t i = 0; i < 11; ++i) {
        const std::vector<float> alone = matrix.product(std::span(tokens).subspan(i * n_columns, n_columns));
        CHECK(std::ranges::equal(alone, std::span(together).subspan(i * n_rows, n_rows)));
    }
}

TEST_CASE("only Q5_0 is packed, one matrix of whole strips, and only where the processor can") {
    const bool can = pie::can_multiply_packed();
    CHECK((!can || pie::is_to_be_packed(GGML_TYPE_Q5_0, 64, 32) ||
           pie::repacking_memory(GGML_TYPE_Q5_0, 64, 32) != nullptr));
    CHECK_FALSE(pie::is_to_be_packed(GGML_TYPE_Q5_0, 64, 24));
    CHECK_FALSE(pie::is_to_be_packed(GGML_TYPE_Q5_0, 64, 32, 4));
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q4_0, GGML_TYPE_Q5_1, GGML_TYPE_Q8_0}) {
        CHECK_FALSE(pie::is_to_be_packed(type, 64, 32));
    }
}
