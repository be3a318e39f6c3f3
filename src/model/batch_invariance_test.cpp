#include "model/batch_invariance.h"
#include "model/product.h"
#include "model/random_numbers.h"
#include "model/repacking.h"

#include <doctest/doctest.h>
#include <ggml-backend.h>
#include <ggml-cpp.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace {

using pie::testing::random_numbers;

constexpr int64_t n_columns = 2048;
constexpr int64_t n_rows = 136;
constexpr int32_t n_tokens_max = 70;

// Of every padded batch up to n_tokens_max, against one of n_tokens_max.
void check_invariance(ggml_type type, ggml_backend_buffer_type_t memory) {
    CAPTURE(std::string(ggml_type_name(type)));
    CAPTURE(std::string(ggml_backend_buft_name(memory)));
    const ggml_context_ptr context(ggml_init({ggml_tensor_overhead(), nullptr, true}));
    ggml_tensor* matrix = ggml_new_tensor_2d(context.get(), type, n_columns, n_rows);
    const ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors_from_buft(context.get(), memory));
    std::vector<std::byte> blocks(ggml_nbytes(matrix));
    ggml_quantize_chunk(type, random_numbers(n_columns * n_rows, 1).data(), blocks.data(), 0, n_rows,
                        n_columns, nullptr);
    ggml_backend_tensor_set(matrix, blocks.data(), 0, blocks.size());
    const auto invariance = pie::find_batch_invariance(*matrix);
    if (!invariance) {
        CHECK((type == GGML_TYPE_F32 || type == GGML_TYPE_F16));
        return;
    }
    const int64_t n_reference = invariance->padded(n_tokens_max);
    const std::vector<float> tokens = random_numbers(n_columns * n_reference, 2);
    const std::vector<float> expected = pie::product(matrix, tokens);
    for (int64_t n = 1; n <= n_tokens_max; ++n) {
        CAPTURE(n);
        const int64_t n_padded = invariance->padded(n);
        std::vector<float> batch(tokens.begin(), tokens.begin() + n_columns * n);
        batch.resize(static_cast<size_t>(n_columns * n_padded)); // zeros
        std::vector<float> product = pie::product(matrix, batch);
        product.resize(static_cast<size_t>(n_rows * n));
        CHECK(std::ranges::equal(product, std::span(expected).first(product.size())));
    }
}

} // namespace

TEST_CASE("a batch is filled up to the next size that will do") {
    CHECK(pie::BatchInvariance{}.padded(1) == 1);
    CHECK(pie::BatchInvariance{}.padded(5) == 5);
    constexpr pie::BatchInvariance eight_by_four{.n_min = 8, .multiple = 4};
    CHECK(eight_by_four.padded(1) == 8);
    CHECK(eight_by_four.padded(8) == 8);
    CHECK(eight_by_four.padded(9) == 12);
    CHECK(eight_by_four.padded(12) == 12);
}

TEST_CASE("filled up to what was found, every batch gives a token the same product to the bit") {
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q4_0, GGML_TYPE_Q5_0, GGML_TYPE_Q8_0,
                                 GGML_TYPE_IQ4_NL, GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K}) {
        check_invariance(type, ggml_backend_cpu_buffer_type());
        if (ggml_backend_buffer_type_t memory = pie::repacking_memory(type, n_columns, n_rows)) {
            check_invariance(type, memory);
        }
    }
}
