#include "eval/flops.h"

#include "model/packed_matrix.h"

#include <ggml.h>

namespace pie {
namespace {

constexpr double operations_a_weight = 2;
constexpr double operations_a_pair = 4; // query times key, and weight times value

double elements(const ggml_tensor* matrix) {
    return matrix == nullptr
               ? 0
               : static_cast<double>(matrix_columns(*matrix) * matrix_rows(*matrix) * matrix->ne[2]);
}

double layer_weights(const LoadedModel& model, int32_t layer) {
    double sum = 0;
    for (const char* name :
         {"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_qkv.weight", "attn_output.weight",
          "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight", "ffn_gate_inp.weight"}) {
        sum += elements(model.layer_tensor(layer, name));
    }
    const Hyperparameters& hparams = model.hparams();
    for (const char* name : {"ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"}) {
        if (const ggml_tensor* experts = model.layer_tensor(layer, name)) {
            sum += elements(experts) * hparams.n_expert_used / hparams.n_expert;
        }
    }
    return sum;
}

} // namespace

FlopFormula::FlopFormula(const LoadedModel& model) {
    const Hyperparameters& hparams = model.hparams();
    for (int32_t layer = 0; layer < hparams.n_layer; ++layer) {
        a_token_ += operations_a_weight * layer_weights(model, layer);
    }
    a_token_looked_at_ =
        operations_a_pair * static_cast<double>(hparams.n_layer) * hparams.n_head * hparams.head_dim;
    output_ = operations_a_weight * elements(model.output_matrix());
}

double FlopFormula::update(double n_encoded, int32_t n_context) const {
    return n_encoded == 0 ? 0 : n_encoded * (a_token_ + a_token_looked_at_ * n_context) + output_;
}

} // namespace pie
