// Rotation of a whole cache's keys against the machine's copy bandwidth, in the same run: every iteration
// copies the bytes of the rotated rows with memcpy and then rotates them, each on two threads, so that
// whatever else disturbs the machine disturbs both. Bytes are counted as read plus written. The counters come
// from the fastest of all iterations: copy_GBps, rotate_GBps, their ratio, and picoseconds for each element.

#include "cache/rotation.h"
#include "programs/run_benchmarks.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <numeric>
#include <random>
#include <string>
#include <thread>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t n_threads = 2;

struct Shape {
    const char* name;
    int32_t n_layers;
    int32_t n_rows; // rotated
    int32_t n_head_kv;
    int32_t head_dim;
    RopeLayout layout;
};

constexpr Shape shapes[] = {
    {"qwen2.5-0.5b", 24, 3072, 2, 64, RopeLayout::neox},
    {"qwen2.5-1.5b", 28, 3072, 2, 128, RopeLayout::neox},
    {"llama-1.3b", 24, 1536, 16, 128, RopeLayout::interleaved},
};
constexpr ggml_type types[] = {GGML_TYPE_F16, GGML_TYPE_Q8_0, GGML_TYPE_BF16, GGML_TYPE_F32, GGML_TYPE_Q4_0};

// Where the rotated rows lie in the cache: one run, three cells of four in ascending order (what a cache that
// goes through its cells asks for), or the same in any order.
enum class Placement { contiguous, scattered, shuffled };
constexpr Placement placements[] = {Placement::contiguous, Placement::scattered, Placement::shuffled};
constexpr const char* placement_names[] = {"contiguous", "scattered", "shuffled"};

// The keys of all layers and a target of the same size to copy them to.
struct Cache {
    Cache(const Shape& shape, ggml_type key_type, Placement placement)
        : type(key_type), row_bytes(ggml_row_size(key_type, shape.n_head_kv * shape.head_dim)),
          layer_bytes(row_bytes * static_cast<size_t>(shape.n_rows) * 4 / 3),
          keys(layer_bytes * static_cast<size_t>(shape.n_layers)), copy(keys.size()) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        const int64_t row_size = shape.n_head_kv * shape.head_dim;
        const auto n_cells = static_cast<int64_t>(layer_bytes / row_bytes);
        std::vector<float> layer(static_cast<size_t>(row_size * n_cells));
        std::generate(layer.begin(), layer.end(), [&] { return normal(random); });
        for (size_t l = 0; l < static_cast<size_t>(shape.n_layers); ++l) {
            ggml_quantize_chunk(type, layer.data(), keys.data() + l * layer_bytes, 0, n_cells, row_size,
                                nullptr);
        }
        std::vector<int32_t> cells(static_cast<size_t>(n_cells));
        std::iota(cells.begin(), cells.end(), 0);
        if (placement != Placement::contiguous) {
            std::shuffle(cells.begin(), cells.end(), random);
        }
        cells.resize(static_cast<size_t>(shape.n_rows));
        if (placement == Placement::scattered) {
            std::sort(cells.begin(), cells.end());
        }
        std::transform(cells.begin(), cells.end(), std::back_inserter(rows),
                       [](int32_t c) { return CellIndex(c); });
    }

    ggml_type type;
    size_t row_bytes;
    size_t layer_bytes;
    std::vector<std::byte> keys;
    std::vector<std::byte> copy;
    std::vector<CellIndex> rows;
};

// Runs a part of the work on each thread at once, again and again; the threads live as long as the Team.
class Team {
  public:
    using Work = std::function<void(int phase, size_t thread)>;

    explicit Team(Work work) : work_(std::move(work)), helper_([this] { serve(); }) {}
    ~Team() {
        stopped_ = true;
        barrier_.arrive_and_wait();
        helper_.join();
    }
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    // Seconds from the start of the first thread to the end of the last.
    double run(int phase) {
        phase_ = phase;
        barrier_.arrive_and_wait();
        timed(0);
        barrier_.arrive_and_wait();
        return std::chrono::duration<double>(*std::max_element(end_.begin(), end_.end()) -
                                             *std::min_element(begin_.begin(), begin_.end()))
            .count();
    }

  private:
    void timed(size_t thread) {
        begin_[thread] = Clock::now();
        work_(phase_, thread);
        end_[thread] = Clock::now();
    }
    void serve() {
        while (true) {
            barrier_.arrive_and_wait();
            if (stopped_) {
                return;
            }
            timed(1);
            barrier_.arrive_and_wait();
        }
    }

    Work work_;
    int phase_ = 0;
    bool stopped_ = false;
    std::array<Clock::time_point, n_threads> begin_;
    std::array<Clock::time_point, n_threads> end_;
    std::barrier<> barrier_{n_threads};
    std::thread helper_; // last: it uses everything above
};

void run(benchmark::State& state, const Shape& shape, ggml_type type, Placement placement) {
    Cache cache(shape, type, placement);
    const RopeParams params{.layout = shape.layout, .head_dim = shape.head_dim, .n_rot = shape.head_dim};
    const RotationTable forth(params, 17);
    const RotationTable back(params, -17);
    const RotationTable* table = &forth;
    const size_t n_rows = cache.rows.size() / n_threads;
    const auto n_layers = static_cast<size_t>(shape.n_layers);

    Team team([&](int phase, size_t thread) {
        for (size_t l = 0; l < n_layers; ++l) {
            std::byte* layer = cache.keys.data() + l * cache.layer_bytes;
            if (phase == 0) {
                const size_t offset = thread * n_rows * cache.row_bytes;
                std::memcpy(cache.copy.data() + l * cache.layer_bytes + offset, layer + offset,
                            n_rows * cache.row_bytes);
            } else {
                rotate_rows({layer, type, shape.n_head_kv, cache.row_bytes},
                            std::span(cache.rows).subspan(thread * n_rows, n_rows), *table);
            }
        }
    });
    double copy_seconds = 1e9;
    double rotate_seconds = 1e9;
    for (auto _ : state) {
        copy_seconds = std::min(copy_seconds, team.run(0));
        const double elapsed = team.run(1);
        rotate_seconds = std::min(rotate_seconds, elapsed);
        table = table == &forth ? &back : &forth;
        state.SetIterationTime(elapsed);
    }
    const auto bytes = static_cast<double>(2 * n_threads * n_rows * n_layers * cache.row_bytes);
    const auto elements =
        static_cast<double>(n_threads * n_rows * n_layers) * shape.n_head_kv * shape.head_dim;
    state.counters["best_ms"] = rotate_seconds * 1e3;
    state.counters["copy_GBps"] = bytes / copy_seconds / 1e9;
    state.counters["rotate_GBps"] = bytes / rotate_seconds / 1e9;
    state.counters["share"] = copy_seconds / rotate_seconds;
    state.counters["ps_per_element"] = rotate_seconds * 1e12 / elements;
}

void register_all() {
    for (const Shape& shape : shapes) {
        for (const Placement placement : placements) {
            for (const ggml_type type : types) {
                const std::string name = std::string(shape.name) + "/" + ggml_type_name(type) + "/" +
                                         placement_names[static_cast<size_t>(placement)];
                benchmark::RegisterBenchmark(
                    name.c_str(), [=](benchmark::State& state) { run(state, shape, type, placement); })
                    ->UseManualTime()
                    ->Unit(benchmark::kMillisecond);
            }
        }
    }
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    pie::register_all();
    return pie::run_benchmarks(argc, argv);
}
