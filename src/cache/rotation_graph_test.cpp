#include "cache/rotation.h"
#include "cache/rotation_oracle.h"

#include <doctest/doctest.h>
#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml-cpu.h>

// The host path and the graph path against ggml's own operators on the CPU backend.

namespace pie {
namespace {

using namespace rotation_oracle;

// A graph on the CPU backend: tensors made by `context` before compute() hold data, those after are
// intermediate.
struct CpuGraph {
    CpuGraph() {
        backend.reset(ggml_backend_cpu_init());
        ggml_backend_cpu_set_n_threads(backend.get(), 1);
        context.reset(ggml_init({ggml_tensor_overhead() * 64 + ggml_graph_overhead(), nullptr, true}));
    }
    void allocate() { buffer.reset(ggml_backend_alloc_ctx_tensors(context.get(), backend.get())); }
    void compute(ggml_tensor* result) {
        ggml_cgraph* graph = ggml_new_graph(context.get());
        ggml_build_forward_expand(graph, result);
        allocator.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend.get())));
        REQUIRE(ggml_gallocr_alloc_graph(allocator.get(), graph));
        REQUIRE(ggml_backend_graph_compute(backend.get(), graph) == GGML_STATUS_SUCCESS);
    }

    ggml_backend_ptr backend;
    ggml_context_ptr context;
    ggml_backend_buffer_ptr buffer;
    ggml_gallocr_ptr allocator;
};

ggml_tensor* factors_tensor(ggml_context* context, const RopeParams& params) {
    return params.freq_factors.empty() ? nullptr
                                       : ggml_new_tensor_1d(context, GGML_TYPE_F32, params.n_rot / 2);
}

void set_factors(ggml_tensor* tensor, const RopeParams& params) {
    if (tensor != nullptr) {
        ggml_backend_tensor_set(tensor, params.freq_factors.data(), 0, ggml_nbytes(tensor));
    }
}

// One token's key as the model's graph makes it at `position`.
std::vector<float> encoded(const std::vector<float>& raw, const RopeParams& params, int32_t position) {
    CpuGraph graph;
    const auto n_head = static_cast<int64_t>(raw.size()) / params.head_dim;
    ggml_tensor* key = ggml_new_tensor_3d(graph.context.get(), GGML_TYPE_F32, params.head_dim, n_head, 1);
    ggml_tensor* positions = ggml_new_tensor_1d(graph.context.get(), GGML_TYPE_I32, 1);
    ggml_tensor* factors = factors_tensor(graph.context.get(), params);
    graph.allocate();
    ggml_backend_tensor_set(key, raw.data(), 0, ggml_nbytes(key));
    ggml_backend_tensor_set(positions, &position, 0, sizeof position);
    set_factors(factors, params);
    ggml_tensor* turned =
        ggml_rope_ext(graph.context.get(), key, positions, factors, params.n_rot,
                      params.layout == RopeLayout::neox ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL,
                      params.n_ctx_orig, params.freq_base, params.freq_scale, params.ext_factor,
                      params.attn_factor, params.beta_fast, params.beta_slow);
    graph.compute(turned);
    std::vector<float> result(raw.size());
    ggml_backend_tensor_get(turned, result.data(), 0, ggml_nbytes(turned));
    return result;
}

struct Move {
    int32_t position; // where the key is made
    int32_t delta;
};

// Rotates through build_rotation: keys' rows `named`, each by its own delta.
void rotate_by_graph(Keys& keys, const std::vector<int32_t>& named, const std::vector<int32_t>& deltas,
                     const RopeParams& params) {
    CpuGraph graph;
    ggml_context* context = graph.context.get();
    const auto n = static_cast<int64_t>(named.size());
    ggml_tensor* tensor = ggml_new_tensor_2d(context, keys.type, keys.row_size, keys.n_cells);
    ggml_tensor* rows = ggml_new_tensor_1d(context, GGML_TYPE_I32, n);
    ggml_tensor* shifts = ggml_new_tensor_1d(context, GGML_TYPE_I32, n);
    ggml_tensor* factors = factors_tensor(context, params);
    graph.allocate();
    const size_t row_bytes = ggml_row_size(keys.type, keys.row_size);
    for (int32_t c = 0; c < keys.n_cells; ++c) {
        ggml_backend_tensor_set(tensor, keys.row(c), static_cast<size_t>(c) * row_bytes, row_bytes);
    }
    ggml_backend_tensor_set(rows, named.data(), 0, ggml_nbytes(rows));
    ggml_backend_tensor_set(shifts, deltas.data(), 0, ggml_nbytes(shifts));
    set_factors(factors, params);
    graph.compute(build_rotation(context, tensor, rows, shifts, factors, params));
    for (int32_t c = 0; c < keys.n_cells; ++c) {
        ggml_backend_tensor_get(tensor, keys.row(c), static_cast<size_t>(c) * row_bytes, row_bytes);
    }
}

} // namespace

TEST_CASE("a key made at p and moved by d is the key made at p + d, magnitude included") {
    std::mt19937 random(6);
    for_each_variant([&](const RopeParams& params) {
        const std::vector<double> frequencies = rope_frequencies(params);
        for (const Move& move : {Move{0, 1}, Move{900, 345}, Move{3000, -1234}}) {
            const std::vector<float> raw = random_floats(static_cast<size_t>(2 * params.head_dim), random);
            const std::vector<float> target = encoded(raw, params, move.position + move.delta);
            for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16}) {
                Keys keys(type, params, 2, 1, encoded(raw, params, move.position));
                rotate_all(keys, params, move.delta);
                const std::vector<float> moved = keys.floats(0);
                const double norm = largest_norm(target, params);
                for (size_t i = 0; i < moved.size(); ++i) {
                    // ggml's angles carry float roundings in proportion to the angle: see rope_test.cpp.
                    const size_t in_head = i % static_cast<size_t>(params.head_dim);
                    const size_t half = frequencies.size();
                    const size_t j = params.layout == RopeLayout::neox ? in_head % half : in_head / 2;
                    const bool is_rotated = in_head < 2 * half;
                    const double angle =
                        is_rotated ? 2 * (move.position + std::abs(move.delta)) * frequencies[j] : 0;
                    const double slack = norm * (2e-6 + angle * static_cast<double>(j + 4) * 0x1p-24);
                    const double rounding = type == GGML_TYPE_F32 ? 0 : 1.3 * type_step(type, norm);
                    CAPTURE(move.position);
                    CAPTURE(i);
                    CHECK(std::abs(static_cast<double>(moved[i]) - static_cast<double>(target[i])) <
                          slack + rounding);
                }
            }
        }
    });
}

TEST_CASE(
    "the graph on the CPU backend equals the naive rotation and the host path, for every variant and type") {
    const std::vector<int32_t> named = {7, 2, 3, 11, 0};
    const std::vector<int32_t> deltas = {1, 60, -60, 0, -211};
    std::mt19937 random(7);
    for_each_variant([&](const RopeParams& params) {
        for (const ggml_type type : types) {
            INFO(std::string(ggml_type_name(type)));
            const Keys keys = random_keys(type, params, random);
            Keys by_graph = keys;
            rotate_by_graph(by_graph, named, deltas, params);
            Keys by_host = keys;
            for (size_t i = 0; i < named.size(); ++i) {
                const CellIndex cell(named[i]);
                rotate_rows(by_host.rows(), std::span(&cell, 1), RotationTable(params, deltas[i]));
            }
            for (int32_t c = 0; c < keys.n_cells; ++c) {
                CAPTURE(c);
                const auto it = std::find(named.begin(), named.end(), c);
                if (it == named.end()) {
                    CHECK(std::memcmp(by_graph.row(c), keys.row(c), keys.row_bytes) == 0);
                    continue;
                }
                const int32_t delta = deltas[static_cast<size_t>(it - named.begin())];
                const std::vector<double> expected = naive_rotation(keys.floats(c), params, delta);
                const std::vector<float> turned = by_graph.floats(c);
                const double around = largest(expected);
                const double angles = 1e-4 * largest_norm(keys.floats(c), params); // ggml's are floats
                for (size_t i = 0; i < turned.size(); ++i) {
                    const double error = std::abs(static_cast<double>(turned[i]) - expected[i]);
                    CHECK(error <= rounding_bound(type, expected, i, around) + angles);
                }
            }
            CHECK(distance(by_graph, by_host, params).rms < (type == GGML_TYPE_F32 ? 20 : 0.1));
        }
    });
}

TEST_CASE("the graph's magnitude cancels: there and back under YaRN is the identity") {
    RopeParams params = variants()[2].params;
    REQUIRE(params.ext_factor != 0.0F);
    std::mt19937 random(8);
    const Keys keys = random_keys(GGML_TYPE_F32, params, random);
    Keys turned = keys;
    for (int32_t i = 0; i < 20; ++i) {
        rotate_by_graph(turned, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, std::vector<int32_t>(12, 31), params);
        rotate_by_graph(turned, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, std::vector<int32_t>(12, -31),
                        params);
    }
    CHECK(distance(turned, keys, params).largest < 10); // 1e-5 of the longest pair
}

} // namespace pie
