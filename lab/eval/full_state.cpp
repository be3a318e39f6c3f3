#include "eval/full_state.h"

#include "base/check.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace pie {
namespace {

// One layer's keys or values of all cached tokens, [n_tokens][n_embd_kv] by position.
std::vector<float> read_rows(const KvCells& cells, const ggml_tensor* tensor) {
    const auto width = static_cast<size_t>(tensor->ne[0]);
    std::vector<std::byte> rows(static_cast<size_t>(cells.extent()) * tensor->nb[1]);
    ggml_backend_tensor_get(tensor, rows.data(), 0, rows.size());
    std::vector<float> values(static_cast<size_t>(cells.n_tokens()) * width);
    for (int32_t i = 0; i < cells.n_tokens(); ++i) {
        const std::byte* row =
            rows.data() + static_cast<size_t>(cells.cell_at(Position(i)).value) * tensor->nb[1];
        float* to = values.data() + static_cast<size_t>(i) * width;
        if (tensor->type == GGML_TYPE_F32) {
            std::memcpy(to, row, width * sizeof(float));
        } else {
            ggml_get_type_traits(tensor->type)->to_float(row, to, static_cast<int64_t>(width));
        }
    }
    return values;
}

double cosine(std::span<const float> a, std::span<const float> b) {
    double product = 0;
    double square_a = 0;
    double square_b = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]);
        const auto y = static_cast<double>(b[i]);
        product += x * y;
        square_a += x * x;
        square_b += y * y;
    }
    const double norms = std::sqrt(square_a * square_b);
    return norms > 0 ? product / norms : 1.0;
}

} // namespace

FullState FullState::read(const KvCache& cache) {
    FullState state;
    state.n_tokens_ = cache.cells().n_tokens();
    state.width_ = static_cast<int32_t>(cache.values(0)->ne[0]);
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        state.keys_.push_back(read_rows(cache.cells(), cache.keys(layer)));
        state.values_.push_back(read_rows(cache.cells(), cache.values(layer)));
    }
    return state;
}

std::span<const float> FullState::row(const std::vector<float>& layer, Position position) const {
    PIE_CHECK(position.value >= 0 && position.value < n_tokens_, "the state has the position");
    const auto width = static_cast<size_t>(width_);
    return std::span(layer).subspan(static_cast<size_t>(position.value) * width, width);
}

std::span<const float> FullState::keys(int32_t layer, Position position) const {
    return row(keys_[static_cast<size_t>(layer)], position);
}

std::span<const float> FullState::values(int32_t layer, Position position) const {
    return row(values_[static_cast<size_t>(layer)], position);
}

LayerCosines layer_cosines(const KvCache& cache, const FullState& full, Position begin) {
    PIE_CHECK(begin.value >= 0 && begin.value < full.n_tokens(), "there is something to compare");
    LayerCosines cosines;
    const auto mean = [&](const std::vector<float>& rows, int32_t layer, auto full_row) {
        double sum = 0;
        for (int32_t i = begin.value; i < full.n_tokens(); ++i) {
            const std::span<const float> wanted = (full.*full_row)(layer, Position(i));
            sum += cosine(std::span(rows).subspan(static_cast<size_t>(i) * wanted.size(), wanted.size()),
                          wanted);
        }
        return sum / static_cast<double>(full.n_tokens() - begin.value);
    };
    for (int32_t layer = 0; layer < full.n_layer(); ++layer) {
        cosines.keys.push_back(mean(read_rows(cache.cells(), cache.keys(layer)), layer, &FullState::keys));
        cosines.values.push_back(
            mean(read_rows(cache.cells(), cache.values(layer)), layer, &FullState::values));
    }
    return cosines;
}

std::vector<Position> rank_by_value_change(const KvCache& cache, std::span<const KeptRun> kept,
                                           const FullState& full, LayerRange layers) {
    PIE_CHECK(layers.begin >= 0 && layers.begin < layers.end && layers.end <= full.n_layer(),
              "the model has the layers");
    struct Change {
        Position position;
        double difference = 0; // squares, summed over the layers
        double whole = 0;
        double share() const { return whole > 0 ? std::sqrt(difference / whole) : 0; }
    };
    std::vector<Change> changes;
    for (const KeptRun& run : kept) {
        for (int32_t i = 0; i < run.length; ++i) {
            changes.push_back({.position = Position(run.to + i)});
        }
    }
    for (int32_t layer = layers.begin; layer < layers.end; ++layer) {
        const std::vector<float> cached = read_rows(cache.cells(), cache.values(layer));
        auto change = changes.begin();
        for (const KeptRun& run : kept) {
            for (int32_t i = 0; i < run.length; ++i, ++change) {
                const std::span<const float> values = full.values(layer, change->position);
                const float* now = cached.data() + static_cast<size_t>(run.from + i) * values.size();
                for (size_t j = 0; j < values.size(); ++j) {
                    const double difference = static_cast<double>(now[j]) - static_cast<double>(values[j]);
                    change->difference += difference * difference;
                    change->whole += static_cast<double>(values[j]) * static_cast<double>(values[j]);
                }
            }
        }
    }
    std::ranges::stable_sort(changes, std::ranges::greater(), &Change::share);
    std::vector<Position> ranked;
    ranked.reserve(changes.size());
    for (const Change& change : changes) {
        ranked.push_back(change.position);
    }
    return ranked;
}

} // namespace pie
