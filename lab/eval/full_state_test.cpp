#include "eval/full_state.h"
#include "support/reference.h"

#include <doctest/doctest.h>
#include <ggml-backend.h>

#include <cstring>
#include <vector>

namespace pie {
namespace {

using testing::load_tiny_model;

constexpr int32_t width = 64; // of the tiny model's values: two heads of 32

// A cache of `n` tokens whose value rows are zero.
std::unique_ptr<KvCache> cache_of(const LoadedModel& model, int32_t n, ggml_type type) {
    auto cache = *KvCache::create(model, {.n_cells = 256, .type_k = type, .type_v = type});
    for (int32_t i = 0; i < n; ++i) {
        cache->cells().append(TokenId(i));
    }
    return cache;
}

void set_values(const KvCache& cache, int32_t layer, int32_t position, float value) {
    ggml_tensor* tensor = cache.values(layer);
    const auto cell = static_cast<size_t>(cache.cells().cell_at(Position(position)).value);
    const std::vector<float> row(width, value);
    std::vector<std::byte> bytes(tensor->nb[1]);
    if (tensor->type == GGML_TYPE_F32) {
        std::memcpy(bytes.data(), row.data(), bytes.size());
    } else {
        ggml_get_type_traits(tensor->type)->from_float_ref(row.data(), bytes.data(), width);
    }
    ggml_backend_tensor_set(tensor, bytes.data(), cell * tensor->nb[1], bytes.size());
}

std::vector<int32_t> numbers(const std::vector<Position>& positions) {
    std::vector<int32_t> result;
    for (const Position position : positions) {
        result.push_back(position.value);
    }
    return result;
}

} // namespace

TEST_CASE("the state holds the values by position, whatever the cache's type and the cells' order") {
    const auto model = load_tiny_model({});
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        CAPTURE(ggml_type_name(type));
        const auto cache = cache_of(*model, 5, type);
        // Cells change places: the first token goes, and its cell serves a new last one.
        EditPlan plan;
        plan.keep = {{.from = 1, .to = 0, .length = 4}};
        plan.tokens_kept = 4;
        plan.encode = {Position(4)};
        const std::vector<TokenId> wanted = {TokenId(1), TokenId(2), TokenId(3), TokenId(4), TokenId(9)};
        cache->cells().begin(plan, wanted);
        cache->cells().place(plan.encode);
        cache->cells().commit();
        for (int32_t layer = 0; layer < 2; ++layer) {
            for (int32_t i = 0; i < 5; ++i) {
                set_values(*cache, layer, i, static_cast<float>(10 * layer + i));
            }
        }
        const FullState state = FullState::read(*cache);
        CHECK(state.n_layer() == 2);
        CHECK(state.n_tokens() == 5);
        for (int32_t layer = 0; layer < 2; ++layer) {
            for (int32_t i = 0; i < 5; ++i) {
                const auto values = state.values(layer, Position(i));
                REQUIRE(values.size() == width);
                CHECK(values.front() == doctest::Approx(10 * layer + i).epsilon(0.01));
                CHECK(values.back() == doctest::Approx(10 * layer + i).epsilon(0.01));
            }
        }
    }
}

TEST_CASE("tokens are ranked by the change of their values in the range's layers, as a share of their norm") {
    const auto model = load_tiny_model({});
    const auto full = cache_of(*model, 6, GGML_TYPE_F32);
    const auto cached = cache_of(*model, 5, GGML_TYPE_F32);
    // By layer: the full recompute's value of each position, and what the cache holds for it. Position 2 of
    // the full one is new; the cached sequence has the others in order.
    const float full_values[2][6] = {{1, 1, 1, 1, 10, 1}, {1, 1, 1, 1, 10, 2}};
    const float cached_values[2][5] = {{1, 1.5F, 1.1F, 12, 1}, {1, 1, 4, 12, 2}};
    for (int32_t layer = 0; layer < 2; ++layer) {
        for (int32_t i = 0; i < 6; ++i) {
            set_values(*full, layer, i, full_values[layer][i]);
        }
        for (int32_t i = 0; i < 5; ++i) {
            set_values(*cached, layer, i, cached_values[layer][i]);
        }
    }
    const FullState state = FullState::read(*full);
    const std::vector<KeptRun> kept = {{.from = 0, .to = 0, .length = 2}, {.from = 2, .to = 3, .length = 3}};
    // Layer 0: position 1 by 0.5, 4 by 0.2, 3 by 0.1, the others by nothing.
    CHECK(numbers(rank_by_value_change(*cached, kept, state, {0, 1})) == std::vector<int32_t>{1, 4, 3, 0, 5});
    // Layer 1: position 3 by 3, 4 by 0.2.
    CHECK(numbers(rank_by_value_change(*cached, kept, state, {1, 2})) == std::vector<int32_t>{3, 4, 0, 1, 5});
    // Both: 3 by sqrt((0.01 + 9) / 2), 1 by sqrt(0.25 / 2), 4 by 0.2.
    CHECK(numbers(rank_by_value_change(*cached, kept, state, {0, 2})) == std::vector<int32_t>{3, 1, 4, 0, 5});
    // What no run keeps is not ranked.
    CHECK(numbers(rank_by_value_change(*cached, std::span(kept).last(1), state, {0, 2})) ==
          std::vector<int32_t>{3, 4, 5});
    CHECK(rank_by_value_change(*cached, {}, state, {0, 2}).empty());
}

TEST_CASE("cosines are means over the positions from the given one on, by layer") {
    const auto model = load_tiny_model({});
    const auto full = cache_of(*model, 4, GGML_TYPE_F32);
    const auto cached = cache_of(*model, 4, GGML_TYPE_F32);
    for (int32_t layer = 0; layer < 2; ++layer) {
        for (int32_t i = 0; i < 4; ++i) {
            set_values(*full, layer, i, 2);
            // Layer 0 is longer, layer 1 turned round in every second place.
            set_values(*cached, layer, i, layer == 0 ? 3.0F : i % 2 == 0 ? -1.0F : 1.0F);
        }
    }
    const FullState state = FullState::read(*full);
    const LayerCosines all = layer_cosines(*cached, state, Position(0));
    REQUIRE(all.values.size() == 2);
    CHECK(all.values[0] == doctest::Approx(1));
    CHECK(all.values[1] == doctest::Approx(0));
    CHECK(all.keys[0] == doctest::Approx(1)); // two rows of zeros are the same
    CHECK(layer_cosines(*cached, state, Position(3)).values[1] == doctest::Approx(1));
    CHECK(layer_cosines(*cached, state, Position(2)).values[1] == doctest::Approx(0));
}

} // namespace pie
