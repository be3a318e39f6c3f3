// What packed matrices gain over those that ggml multiplies, in batches of few tokens: for each type as many
// matrices of one shape as no cache holds, so that weights come from memory as they do in a model. Both take
// turns, on two threads. ggml's are repacked where it has kernels for that.

#include "base/check.h"
#include "base/elapsed.h"
#include "base/quantile.h"
#include "engine/packed_product.h"
#include "model/matrix_copy.h"
#include "model/packed_matrix.h"
#include "model/random_numbers.h"
#include "model/repacking.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml-cpu.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace pie {
namespace {

constexpr std::array types = {GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q5_0, GGML_TYPE_Q8_0};
constexpr std::array<int64_t, 10> batch_sizes = {1, 2, 3, 4, 5, 7, 9, 16, 26, 64};
constexpr int64_t n_columns = 1536; // of the largest matrices of a 1.5B
constexpr int64_t n_rows = 8960;
constexpr size_t n_bytes_min = size_t{256} << 20U;
constexpr int n_threads = 2;
constexpr int n_turns = 9;

Result<MatrixCopy> file_matrix(ggml_type type) {
    PIE_ASSIGN(MatrixCopy matrix,
               make_matrix_copy("matrix", type, {n_columns, n_rows, 1}, ggml_backend_cpu_buffer_type()));
    ggml_quantize_chunk(type, testing::random_numbers(n_columns * n_rows, 1).data(), matrix.tensor->data, 0,
                        n_rows, n_columns, nullptr);
    return matrix;
}

Result<std::vector<MatrixCopy>> copies(const ggml_tensor& matrix,
                                       Result<MatrixCopy> (*copy)(const ggml_tensor&)) {
    std::vector<MatrixCopy> all;
    for (size_t n_bytes = 0; n_bytes < n_bytes_min; n_bytes += ggml_nbytes(&matrix)) {
        PIE_ASSIGN(MatrixCopy another, copy(matrix));
        all.push_back(std::move(another));
    }
    return all;
}

Result<MatrixCopy> as_in_file(const ggml_tensor& matrix) {
    PIE_ASSIGN(MatrixCopy copy, make_matrix_copy(matrix.name, matrix.type, {matrix.ne[0], matrix.ne[1], 1},
                                                 ggml_backend_cpu_buffer_type()));
    std::memcpy(copy.tensor->data, matrix.data, ggml_nbytes(&matrix));
    return copy;
}

// A graph that multiplies all matrices with the same tokens.
class Products {
  public:
    Products(std::span<const MatrixCopy> matrices, int64_t n_tokens)
        : context_(ggml_init(
              {(matrices.size() + 2) * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true})),
          graph_(ggml_new_graph(context_.get())) {
        ggml_tensor* tokens = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, n_columns, n_tokens);
        ggml_tensor* rounded = is_packed(*matrices.front().tensor)
                                   ? build_rounded_tokens(context_.get(), tokens, matrices.front().tensor)
                                   : nullptr;
        for (const MatrixCopy& matrix : matrices) {
            ggml_tensor* product = rounded != nullptr
                                       ? build_packed_product(context_.get(), matrix.tensor, rounded)
                                       : ggml_mul_mat(context_.get(), matrix.tensor, tokens);
            ggml_build_forward_expand(graph_, product);
        }
        buffer_.reset(
            ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), ggml_backend_cpu_buffer_type()));
        PIE_CHECK(buffer_ != nullptr, "products of a few tokens have room");
        const auto n_numbers = static_cast<size_t>(ggml_nelements(tokens));
        ggml_backend_tensor_set(tokens, testing::random_numbers(n_numbers, 2).data(), 0, ggml_nbytes(tokens));
    }

    double milliseconds(ggml_backend_t cpu) {
        const auto begin = std::chrono::steady_clock::now();
        PIE_CHECK(ggml_backend_graph_compute(cpu, graph_) == GGML_STATUS_SUCCESS, "products are computed");
        return milliseconds_since(begin);
    }

  private:
    ggml_context_ptr context_;
    ggml_cgraph* graph_;
    ggml_backend_buffer_ptr buffer_;
};

Result<void> run_type(ggml_backend_t cpu, ggml_type type) {
    PIE_ASSIGN(const MatrixCopy file, file_matrix(type));
    const bool is_repacked = repacking_memory(type, n_columns, n_rows) != nullptr;
    PIE_ASSIGN(const auto theirs, copies(*file.tensor, is_repacked ? repack : as_in_file));
    PIE_ASSIGN(const auto ours, copies(*file.tensor, pack));
    for (const int64_t n_tokens : batch_sizes) {
        Products their_products(theirs, n_tokens);
        Products our_products(ours, n_tokens);
        std::vector<double> their_times;
        std::vector<double> our_times;
        for (int i = 0; i < n_turns; ++i) {
            their_times.push_back(their_products.milliseconds(cpu));
            our_times.push_back(our_products.milliseconds(cpu));
        }
        const double n_products = static_cast<double>(ours.size()) * n_columns * n_rows;
        fmt::print("{:<5} {:6} {:7.1f} {:7.1f} {:7.2f} {:24.0f}\n", ggml_type_name(type), n_tokens,
                   median(their_times), median(our_times), median(their_times) / median(our_times),
                   n_products * static_cast<double>(n_tokens) / median(our_times) / 1e6);
    }
    return {};
}

Result<void> run() {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr); // says what it repacks
    const ggml_backend_ptr cpu(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
    // Threads that are there already, as the engine's are.
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    const std::unique_ptr<ggml_threadpool, decltype(&ggml_threadpool_free)> pool(ggml_threadpool_new(&params),
                                                                                 ggml_threadpool_free);
    PIE_CHECK(pool != nullptr, "threads can be started");
    ggml_backend_cpu_set_n_threads(cpu.get(), n_threads);
    ggml_backend_cpu_set_threadpool(cpu.get(), pool.get());
    fmt::print("{} threads; medians of {} in ms\n", n_threads, n_turns);
    fmt::print("type  tokens    ggml    ours   times   ours, 10^9 products/s\n");
    for (const ggml_type type : types) {
        if (is_to_be_packed(type, n_columns, n_rows)) {
            PIE_TRY(run_type(cpu.get(), type));
        }
    }
    return {};
}

} // namespace
} // namespace pie

int main() {
    const auto done = pie::run();
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
