#include "model/packed_product.h"
#include "model/repacking.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>

namespace {

using pie::testing::TemporaryFolder;
using pie::testing::TinyModel;

// As ggml's sources have it: kernels for eight rows of Q4_0 need AVX2, those for four rows Arm's dot
// products.
bool has_repacked_q4_0() {
    return ggml_cpu_has_avx2() != 0 || (ggml_cpu_has_neon() != 0 && ggml_cpu_has_dotprod() != 0);
}

bool is_repacked(ggml_type type, int64_t n_columns, int64_t n_rows, int64_t n_matrices = 1) {
    return pie::repacking_memory(type, n_columns, n_rows, n_matrices) != nullptr;
}

pie::RepackedShare share_of(const TinyModel& description) {
    const TemporaryFolder folder;
    pie::testing::write_tiny_model(description, folder.path() / "tiny.gguf");
    return pie::repacked_share(pie::Metadata::open(folder.path() / "tiny.gguf").value());
}

} // namespace

TEST_CASE("types with repacked kernels, and matrices that do not fit them") {
    CHECK(is_repacked(GGML_TYPE_Q4_0, 64, 16) == has_repacked_q4_0());
    CHECK(is_repacked(GGML_TYPE_Q4_0, 64, 16, 4) == has_repacked_q4_0());
    CHECK_FALSE(is_repacked(GGML_TYPE_Q4_0, 64, 15));
    CHECK_FALSE(is_repacked(GGML_TYPE_Q5_0, 64, 16));
    CHECK_FALSE(is_repacked(GGML_TYPE_Q4_1, 64, 16));
    CHECK_FALSE(is_repacked(GGML_TYPE_F32, 64, 16));
}

TEST_CASE("the share of a file counts what tokens are multiplied with") {
    // Matrices of 128 columns in one layer: query and output of 128 rows, key and value of 64, two of 256
    // rows, and one of 256 columns and 128 rows; beside them the output matrix, but not the embedding.
    constexpr uint64_t n_layer_weights = 128 * (128 + 128 + 64 + 64 + 256 + 256) + 256 * 128;
    constexpr uint64_t n_output_weights = uint64_t{128} * pie::testing::tiny_vocabulary_size;
    const auto q4_0_bytes = [](uint64_t n_weights) { return n_weights / 32 * 18; };

    const pie::RepackedShare plain = share_of({.weight_type = GGML_TYPE_Q4_0, .n_layer = 1});
    CHECK(plain.matrix_bytes == q4_0_bytes(n_layer_weights + n_output_weights));
    CHECK(plain.repacked_bytes == (has_repacked_q4_0() ? plain.matrix_bytes : 0));
    CHECK(plain.share() == (has_repacked_q4_0() ? 1.0 : 0.0));

    const pie::RepackedShare tied =
        share_of({.weight_type = GGML_TYPE_Q4_0, .n_layer = 1, .has_tied_output = true});
    CHECK(tied.matrix_bytes == plain.matrix_bytes);

    const pie::RepackedShare none = share_of({.weight_type = GGML_TYPE_Q5_1, .n_layer = 1});
    CHECK(none.matrix_bytes == (n_layer_weights + n_output_weights) / 32 * 24);
    CHECK(none.repacked_bytes == 0);

    const pie::RepackedShare ours = share_of({.weight_type = GGML_TYPE_Q5_0, .n_layer = 1});
    const bool has_kernels = is_repacked(GGML_TYPE_Q8_0, 128, 128) || pie::can_multiply_packed();
    CHECK(ours.matrix_bytes == (n_layer_weights + n_output_weights) / 32 * 22);
    CHECK(ours.repacked_bytes == (has_kernels ? ours.matrix_bytes : 0));
}
