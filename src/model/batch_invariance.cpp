#include "model/batch_invariance.h"

#include "base/check.h"
#include "model/packed_matrix.h"
#include "model/product.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_reference = 64;     // tokens of a batch that is large for every kernel
constexpr int32_t n_tried = 31;         // the largest batch that is compared with it
constexpr int64_t n_columns_max = 1024; // whole blocks of every type
constexpr int64_t n_rows_max = 64;      // whole tiles of every kernel
constexpr std::array multiples = {1, 2, 4, 8, 16};

std::vector<float> wave(int64_t n, float frequency) {
    std::vector<float> values(static_cast<size_t>(n));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = std::sin(static_cast<float>(i) * frequency);
    }
    return values;
}

// A small matrix as `like` is one.
struct SmallMatrix {
    explicit SmallMatrix(const ggml_tensor& like)
        : context(ggml_init({ggml_tensor_overhead(), nullptr, true})),
          tensor(ggml_new_tensor_2d(context.get(), like.type, std::min(like.ne[0], n_columns_max),
                                    std::min(like.ne[1], n_rows_max))),
          buffer(ggml_backend_alloc_ctx_tensors_from_buft(context.get(),
                                                          ggml_backend_buffer_get_type(like.buffer))) {
        PIE_CHECK(buffer != nullptr, "a hundred kilobytes can be had");
        const std::vector<float> values = wave(ggml_nelements(tensor), 1.37F);
        std::vector<std::byte> blocks(ggml_nbytes(tensor));
        ggml_quantize_chunk(like.type, values.data(), blocks.data(), 0, tensor->ne[1], tensor->ne[0],
                            nullptr);
        ggml_backend_tensor_set(tensor, blocks.data(), 0, blocks.size());
    }

    ggml_context_ptr context;
    ggml_tensor* tensor;
    ggml_backend_buffer_ptr buffer;
};

} // namespace

int64_t BatchInvariance::padded(int64_t n) const {
    return (std::max<int64_t>(n, n_min) + multiple - 1) / multiple * multiple;
}

std::optional<BatchInvariance> find_batch_invariance(const ggml_tensor& matrix) {
    if (is_packed(matrix)) {
        return BatchInvariance{}; // by construction, and ggml could not multiply it
    }
    const SmallMatrix small(matrix);
    const int64_t n_columns = small.tensor->ne[0];
    const std::vector<float> tokens = wave(n_columns * n_reference, 1.0F);
    const std::vector<float> expected = product(small.tensor, tokens);
    std::array<bool, n_tried + 1> is_equal{};
    for (int32_t n = 1; n <= n_tried; ++n) {
        const std::vector<float> found =
            product(small.tensor, std::span(tokens).first(static_cast<size_t>(n * n_columns)));
        is_equal[static_cast<size_t>(n)] = std::ranges::equal(found, std::span(expected).first(found.size()));
    }
    for (const int32_t multiple : multiples) {
        int32_t n_min = n_tried + 1;
        for (int32_t n = n_tried / multiple * multiple; n > 0 && is_equal[static_cast<size_t>(n)];
             n -= multiple) {
            n_min = n;
        }
        if (n_min <= n_tried / 2) { // else too few agree to tell
            return BatchInvariance{n_min, multiple};
        }
    }
    return {};
}

} // namespace pie
