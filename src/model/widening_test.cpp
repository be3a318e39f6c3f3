#include "model/model.h"
#include "model/packed_product.h"
#include "model/product.h"
#include "model/random_numbers.h"
#include "model/repacking.h"
#include "model/widening.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>

#include <vector>

namespace {

using pie::testing::TemporaryFolder;

constexpr int64_t n_columns = 128;
constexpr int64_t n_rows = 64;

std::vector<float> random_weights() {
    return pie::testing::random_numbers(n_columns * n_rows, 1);
}

std::vector<std::byte> as_q5_0(const std::vector<float>& weights) {
    std::vector<std::byte> blocks(ggml_row_size(GGML_TYPE_Q5_0, n_columns) * n_rows);
    ggml_quantize_chunk(GGML_TYPE_Q5_0, weights.data(), blocks.data(), 0, n_rows, n_columns, nullptr);
    return blocks;
}

std::vector<float> as_floats(ggml_type type, const std::vector<std::byte>& blocks) {
    std::vector<float> weights(n_columns * n_rows);
    ggml_get_type_traits(type)->to_float(blocks.data(), weights.data(), static_cast<int64_t>(weights.size()));
    return weights;
}

bool has_repacked_q8_0() {
    return pie::repacking_memory(GGML_TYPE_Q8_0, n_columns, n_rows) != nullptr;
}

std::vector<float> ones_and_twos() {
    std::vector<float> values(n_columns, 1.0F);
    for (size_t i = 0; i < values.size(); i += 3) {
        values[i] = 2.0F;
    }
    return values;
}

} // namespace

TEST_CASE("Q8_0 holds the weights of Q5_0, every one") {
    const std::vector<std::byte> blocks = as_q5_0(random_weights());
    const std::vector<std::byte> widened = pie::q8_0_of_q5_0(blocks);
    CHECK(widened.size() == ggml_row_size(GGML_TYPE_Q8_0, n_columns) * n_rows);
    CHECK(as_floats(GGML_TYPE_Q8_0, widened) == as_floats(GGML_TYPE_Q5_0, blocks));
}

TEST_CASE("only Q5_0 is widened, and only where that has faster kernels") {
    CHECK(pie::is_widened(GGML_TYPE_Q5_0, n_columns, n_rows) == has_repacked_q8_0());
    CHECK_FALSE(pie::is_widened(GGML_TYPE_Q5_0, n_columns, 15)); // no kernel for so few rows
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q4_0, GGML_TYPE_Q5_1, GGML_TYPE_Q8_0}) {
        CHECK_FALSE(pie::is_widened(type, n_columns, n_rows));
    }
}

TEST_CASE("a widened matrix multiplies as what it was made of") {
    if (!has_repacked_q8_0()) {
        MESSAGE("left out: this processor has no repacked kernels for Q8_0");
        return;
    }
    const ggml_context_ptr context(ggml_init({ggml_tensor_overhead(), nullptr, true}));
    ggml_tensor* matrix = ggml_new_tensor_2d(context.get(), GGML_TYPE_Q5_0, n_columns, n_rows);
    const ggml_backend_buffer_ptr buffer(
        ggml_backend_alloc_ctx_tensors_from_buft(context.get(), ggml_backend_cpu_buffer_type()));
    const std::vector<std::byte> blocks = as_q5_0(random_weights());
    ggml_backend_tensor_set(matrix, blocks.data(), 0, blocks.size());

    const pie::MatrixCopy widened = pie::widen(*matrix).value();
    CHECK(widened.tensor->type == GGML_TYPE_Q8_0);
    const std::vector<float> expected = pie::product(matrix, ones_and_twos());
    const std::vector<float> product = pie::product(widened.tensor, ones_and_twos());
    REQUIRE(product.size() == expected.size());
    for (size_t i = 0; i < product.size(); ++i) {
        CHECK(product[i] == doctest::Approx(expected[i]).epsilon(1e-4));
    }
}

TEST_CASE("a model's matrices are widened or packed while it is loaded, what is looked up is not") {
    const TemporaryFolder folder;
    pie::testing::write_tiny_model({.weight_type = GGML_TYPE_Q5_0}, folder.path() / "tiny.gguf");
    const auto model = pie::LoadedModel::load(folder.path() / "tiny.gguf").value();
    const bool can_be_packed = pie::can_multiply_packed();
    const ggml_type expected = has_repacked_q8_0() ? GGML_TYPE_Q8_0
                               : can_be_packed     ? GGML_TYPE_I8
                                                   : GGML_TYPE_Q5_0;
    CHECK(model->layer_tensor(1, "ffn_up.weight")->type == expected);
    CHECK(model->output_matrix()->type == expected);
    CHECK(model->tensor("token_embd.weight")->type == GGML_TYPE_Q5_0);

    pie::testing::write_tiny_model({.weight_type = GGML_TYPE_Q5_0, .has_tied_output = true},
                                   folder.path() / "tied.gguf");
    const auto tied = pie::LoadedModel::load(folder.path() / "tied.gguf").value();
    CHECK(tied->output_matrix()->type == expected);
    CHECK(tied->tensor("token_embd.weight")->type == GGML_TYPE_Q5_0);
}
