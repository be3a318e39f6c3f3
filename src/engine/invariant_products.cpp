#include "engine/invariant_products.h"

#include <algorithm>
#include <utility>

namespace pie {
namespace {

constexpr auto matrix_names = {"attn_q.weight",   "attn_k.weight", "attn_v.weight",  "attn_output.weight",
                               "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"};

} // namespace

InvariantProducts::Kind InvariantProducts::kind_of(const ggml_tensor& matrix) {
    return {matrix.type, ggml_backend_buffer_get_type(matrix.buffer)};
}

std::optional<InvariantProducts> InvariantProducts::create(const LoadedModel& model) {
    InvariantProducts products;
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    for (int32_t layer = 0; layer < model.hparams().n_layer; ++layer) {
        if (model.layer_device(layer) != cpu || model.hparams().n_expert > 0) {
            return {};
        }
        for (const char* name : matrix_names) {
            const ggml_tensor* matrix = model.layer_tensor(layer, name);
            if (matrix == nullptr) {
                continue;
            }
            if (!products.try_out(*matrix)) {
                return {};
            }
            products.n_min_ = std::max(products.n_min_, products.kinds_.at(kind_of(*matrix)).n_min);
        }
    }
    // Of few tokens in any batch: these are filled up anyway.
    return products.try_out(*model.output_matrix()) ? std::optional(std::move(products)) : std::nullopt;
}

// False where the product cannot be made so.
bool InvariantProducts::try_out(const ggml_tensor& matrix) {
    if (kinds_.contains(kind_of(matrix))) {
        return true;
    }
    const auto found = find_batch_invariance(matrix);
    if (found) {
        kinds_.emplace(kind_of(matrix), *found);
    }
    return found.has_value();
}

int64_t InvariantProducts::padded(const ggml_tensor& matrix, int64_t n) const {
    return kinds_.at(kind_of(matrix)).padded(n);
}

} // namespace pie
