#include "model/rope.h"

#include <doctest/doctest.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace pie {
namespace {

struct Variant {
    std::string name;
    RopeParams params;
};

// The variants of rotary embedding that the engine takes, as models on the hub set them.
std::vector<Variant> variants() {
    const RopeParams plain{.head_dim = 128, .n_rot = 128};
    std::vector<Variant> all;
    all.push_back({"plain", plain});
    all.push_back({"base 1e6", plain});
    all.back().params.freq_base = 1e6F;
    all.push_back({"linear scaling", plain});
    all.back().params.freq_scale = 0.25F;
    RopeParams yarn{.head_dim = 64, .n_rot = 64, .freq_base = 1e6F, .freq_scale = 0.25F, .ext_factor = 1.0F};
    yarn.n_ctx_orig = 32768;
    all.push_back({"YaRN", yarn});
    yarn.ext_factor = 0.5F;
    yarn.attn_factor = 0.8F;
    yarn.beta_fast = 24.0F;
    yarn.beta_slow = 2.0F;
    yarn.n_ctx_orig = 4096;
    all.push_back({"YaRN, half mixed, with a factor for the magnitude", yarn});
    all.push_back({"frequency factors", plain});
    for (size_t j = 0; j < 64; ++j) {
        all.back().params.freq_factors.push_back(j < 29   ? 1.0F
                                                 : j < 36 ? 1.0F + static_cast<float>(j) / 9
                                                          : 8.0F);
    }
    all.push_back({"partial", RopeParams{.head_dim = 80, .n_rot = 32}});
    all.push_back({"partial, odd number of pairs", RopeParams{.head_dim = 96, .n_rot = 54}});
    return all;
}

// ggml's operator, on the CPU, applied at `position` to a head of which the first element of each pair is 1
// and the second 0, so that a pair becomes magnitude * (cos, sin).
std::vector<float> rotated_units(const RopeParams& params, int32_t position) {
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> context(
        ggml_init({.mem_size = size_t{1} << 20, .mem_buffer = nullptr, .no_alloc = false}), ggml_free);
    ggml_tensor* head = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, params.head_dim, 1, 1);
    ggml_tensor* positions = ggml_new_tensor_1d(context.get(), GGML_TYPE_I32, 1);
    ggml_set_f32(head, 1.0F);
    const int32_t half = params.n_rot / 2;
    for (int32_t j = 0; j < half; ++j) {
        ggml_set_f32_1d(head, params.layout == RopeLayout::neox ? j + half : 2 * j + 1, 0.0F);
    }
    ggml_set_i32_1d(positions, 0, position);
    ggml_tensor* factors = nullptr;
    if (!params.freq_factors.empty()) {
        factors = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, half);
        std::memcpy(factors->data, params.freq_factors.data(), ggml_nbytes(factors));
    }
    ggml_tensor* turned =
        ggml_rope_ext(context.get(), head, positions, factors, params.n_rot,
                      params.layout == RopeLayout::neox ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL,
                      params.n_ctx_orig, params.freq_base, params.freq_scale, params.ext_factor,
                      params.attn_factor, params.beta_fast, params.beta_slow);
    ggml_cgraph* graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, turned);
    REQUIRE(ggml_graph_compute_with_ctx(context.get(), graph, 1) == GGML_STATUS_SUCCESS);
    const auto* data = static_cast<const float*>(turned->data);
    return {data, data + params.head_dim};
}

} // namespace

TEST_CASE("frequencies and magnitude are those of ggml's operator, for every variant") {
    for (const Variant& variant : variants()) {
        RopeParams params = variant.params;
        for (const RopeLayout layout : {RopeLayout::neox, RopeLayout::interleaved}) {
            params.layout = layout;
            const std::vector<double> frequencies = rope_frequencies(params);
            const auto half = static_cast<size_t>(params.n_rot) / 2;
            REQUIRE(frequencies.size() == half);
            const double magnitude = static_cast<double>(params.attn_factor * rope_yarn_magnitude(params));
            for (const int32_t position : {1, 17, 1000, 16384, -300}) {
                const std::vector<float> turned = rotated_units(params, position);
                for (size_t j = 0; j < half; ++j) {
                    CAPTURE(variant.name);
                    CAPTURE(position);
                    CAPTURE(j);
                    const double angle = static_cast<double>(position) * frequencies[j];
                    // The operator multiplies its way from pair to pair in floats and rounds each product.
                    const double slack = 2e-6 + std::abs(angle) * static_cast<double>(j + 4) * 0x1p-24;
                    const size_t first = layout == RopeLayout::neox ? j : 2 * j;
                    const size_t second = layout == RopeLayout::neox ? j + half : 2 * j + 1;
                    CHECK(std::abs(static_cast<double>(turned[first]) - magnitude * std::cos(angle)) < slack);
                    CHECK(std::abs(static_cast<double>(turned[second]) - magnitude * std::sin(angle)) <
                          slack);
                }
                for (auto i = static_cast<size_t>(params.n_rot); i < turned.size(); ++i) {
                    CHECK(turned[i] == 1.0F);
                }
            }
        }
    }
}

TEST_CASE("known frequencies") {
    const std::vector<double> plain = rope_frequencies({.head_dim = 4, .n_rot = 4, .freq_base = 1e4F});
    CHECK(plain[0] == 1.0);
    CHECK(plain[1] == doctest::Approx(0.01));
    const std::vector<double> linear =
        rope_frequencies({.head_dim = 4, .n_rot = 4, .freq_base = 1e4F, .freq_scale = 0.5F});
    CHECK(linear[0] == 0.5);
    CHECK(linear[1] == doctest::Approx(0.005));
    const std::vector<double> factors =
        rope_frequencies({.head_dim = 4, .n_rot = 4, .freq_factors = {1.0F, 8.0F}});
    CHECK(factors[0] == 1.0);
    CHECK(factors[1] == doctest::Approx(0.01 / 8));
}

TEST_CASE("YaRN keeps fast pairs, interpolates slow ones, and enlarges what it rotates") {
    RopeParams params{
        .head_dim = 128, .n_rot = 128, .freq_scale = 0.25F, .ext_factor = 1.0F, .n_ctx_orig = 4096};
    const std::vector<double> yarn = rope_frequencies(params);
    CHECK(rope_yarn_magnitude(params) == doctest::Approx(1.0 + 0.1 * std::log(4.0)));
    params.ext_factor = 0.0F;
    params.freq_scale = 1.0F;
    const std::vector<double> plain = rope_frequencies(params);
    CHECK(rope_yarn_magnitude(params) == 1.0F);
    CHECK(yarn[0] == doctest::Approx(plain[0]));
    CHECK(yarn[63] == doctest::Approx(plain[63] / 4));
    for (size_t j = 0; j < yarn.size(); ++j) {
        CHECK(yarn[j] <= plain[j] * (1 + 1e-12));
        CHECK(yarn[j] >= plain[j] / 4 * (1 - 1e-12));
    }
}

} // namespace pie
