// In a model of one layer a key depends on its token and position alone, and a value on its token. So
// whatever an edit script kept, moved and rotated, every row of the cache must be what a fresh encoding
// writes: values to the bit, keys within the rounding of their type. Checked for every rope variant and key
// type, through both rotation paths. The engine takes one token a batch here, because sums in batches of
// other sizes round differently.

#include "cache/random_edits.h"
#include "session/live_sequence.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace pie {
namespace {

using testing::TinyModel;

struct Rows {
    std::vector<std::vector<float>> keys; // by position
    std::vector<std::vector<std::byte>> values;
};

std::vector<std::byte> row_bytes(const ggml_tensor* tensor, CellIndex cell) {
    std::vector<std::byte> bytes(tensor->nb[1]);
    ggml_backend_tensor_get(tensor, bytes.data(), static_cast<size_t>(cell.value) * tensor->nb[1],
                            bytes.size());
    return bytes;
}

std::vector<float> as_floats(const std::vector<std::byte>& row, const ggml_tensor* tensor) {
    std::vector<float> floats(static_cast<size_t>(tensor->ne[0]));
    if (tensor->type == GGML_TYPE_F32) {
        std::memcpy(floats.data(), row.data(), row.size());
    } else {
        ggml_get_type_traits(tensor->type)->to_float(row.data(), floats.data(), tensor->ne[0]);
    }
    return floats;
}

Rows read_rows(const KvCache& cache) {
    Rows rows;
    for (int32_t i = 0; i < cache.cells().n_tokens(); ++i) {
        const CellIndex cell = cache.cells().cell_at(Position(i));
        rows.keys.push_back(as_floats(row_bytes(cache.keys(0), cell), cache.keys(0)));
        rows.values.push_back(row_bytes(cache.values(0), cell));
    }
    return rows;
}

// The largest difference of an element, over the largest element of its row.
double key_error(const std::vector<float>& key, const std::vector<float>& fresh) {
    float difference = 0.0F;
    float largest = 0.0F;
    for (size_t i = 0; i < key.size(); ++i) {
        difference = std::max(difference, std::abs(key[i] - fresh[i]));
        largest = std::max(largest, std::abs(fresh[i]));
    }
    return static_cast<double>(difference) / static_cast<double>(largest);
}

// What one rounding may do to an element, over the largest element of its row.
double rounding(ggml_type type) {
    switch (type) {
    case GGML_TYPE_F32:
        return 1e-6; // not of the type, but of ggml's angles, which are products of floats
    case GGML_TYPE_F16:
        return 1.0 / 2048;
    case GGML_TYPE_BF16:
        return 1.0 / 256;
    default:
        return 1.0 / 254; // q8_0
    }
}

struct Setup {
    std::unique_ptr<KvCache> cache;
    std::unique_ptr<Engine> engine;

    Setup(const LoadedModel& model, ggml_type type, KernelPath path) {
        cache = *KvCache::create(model, {.n_cells = 256, .type_k = type, .type_v = type});
        engine = *Engine::create(model, {.n_threads = 1, .n_batch = 1, .rotation = path});
    }
};

void run_script(const LoadedModel& model, ggml_type type, KernelPath path, uint32_t seed) {
    std::mt19937 random(seed);
    Setup setup(model, type, path);
    LiveSequence sequence(*setup.engine, *setup.cache);
    std::vector<TokenId> wanted = uniform_tokens(random, 70, testing::tiny_vocabulary_size);
    int32_t n_moved = 0;
    constexpr int n_updates = 7;
    for (int update = 0; update < n_updates; ++update) {
        CAPTURE(update);
        const auto report = sequence.update(wanted, {.method = ReuseMethod::pie});
        REQUIRE(report.has_value());
        REQUIRE(std::ranges::equal(setup.cache->cells().tokens(), wanted));
        n_moved += report->tokens_moved;
        for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits) {
            edit_at_random(random, wanted,
                           uniform_tokens(random, 1 + random() % 6, testing::tiny_vocabulary_size), 30);
        }
        wanted.resize(std::clamp<size_t>(wanted.size(), 40, 140), TokenId(7));
    }
    CHECK(n_moved > 0);
    CHECK(setup.cache->cells().pending_rotations().empty());

    Setup fresh_setup(model, type, path);
    LiveSequence fresh(*fresh_setup.engine, *fresh_setup.cache);
    const auto tokens = setup.cache->cells().tokens();
    REQUIRE(fresh.update(std::vector(tokens.begin(), tokens.end()), {}).has_value());
    const Rows rows = read_rows(*setup.cache);
    const Rows fresh_rows = read_rows(*fresh_setup.cache);
    double error_max = 0;
    for (size_t i = 0; i < rows.keys.size(); ++i) {
        CAPTURE(i);
        CHECK(rows.values[i] == fresh_rows.values[i]);
        error_max = std::max(error_max, key_error(rows.keys[i], fresh_rows.keys[i]));
    }
    // A pair of elements is rounded when it is made and at each move; a turn mixes the two.
    CHECK(error_max < std::sqrt(2.0) * (n_updates + 1) * rounding(type));
}

void check_rows(const TinyModel& description) {
    CAPTURE(description.architecture);
    CAPTURE(description.rope_scaling);
    const auto model = testing::load_tiny_model(description);
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0}) {
        for (const KernelPath path : {KernelPath::host_first, KernelPath::graph}) {
            CAPTURE(std::string(ggml_type_name(type)));
            CAPTURE(static_cast<int>(path));
            for (uint32_t seed = 1; seed <= 2; ++seed) {
                CAPTURE(seed);
                run_script(*model, type, path, seed);
            }
        }
    }
}

TinyModel one_layer(TinyModel description) {
    description.n_layer = 1;
    description.n_embd = 64;
    description.n_head = 2;
    description.n_head_kv = 2;
    description.n_ff = 64;
    return description;
}

} // namespace

TEST_CASE("moved keys are those of a fresh encoding: interleaved pairs") {
    check_rows(one_layer({.architecture = "llama"}));
    check_rows(one_layer({.architecture = "granite", .rope_scaling = "linear"}));
    check_rows(one_layer({.architecture = "llama", .rope_scaling = "yarn"}));
    check_rows(one_layer({.architecture = "llama", .has_freq_factors = true}));
}

TEST_CASE("moved keys are those of a fresh encoding: pairs half a head apart") {
    check_rows(one_layer({.architecture = "qwen2"}));
    check_rows(one_layer({.architecture = "qwen3", .head_dim = 64, .rope_scaling = "linear"}));
    check_rows(one_layer({.architecture = "qwen2", .rope_scaling = "yarn"}));
}

TEST_CASE("moved keys are those of a fresh encoding: only the front of each head turns") {
    check_rows(one_layer({.architecture = "starcoder2", .n_rot = 16}));
    check_rows(one_layer({.architecture = "qwen2", .n_rot = 24, .rope_scaling = "yarn"}));
    check_rows(one_layer({.architecture = "granite", .n_rot = 8, .has_freq_factors = true}));
}

TEST_CASE("Conflict Fast Encoding moves tokens and leaves their keys") {
    const auto model = testing::load_tiny_model(one_layer({.architecture = "llama"}));
    Setup setup(*model, GGML_TYPE_F16, KernelPath::host_first);
    LiveSequence sequence(*setup.engine, *setup.cache);
    std::vector<TokenId> wanted = testing::random_tokens(40, 1);
    REQUIRE(sequence.update(wanted, {}).has_value());
    const Rows before = read_rows(*setup.cache);
    wanted.insert(wanted.begin() + 10, 3, TokenId(1));
    const auto report = sequence.update(wanted, {.method = ReuseMethod::cfe});
    REQUIRE(report.has_value());
    CHECK(report->tokens_moved == 29); // the last one is encoded again
    const Rows after = read_rows(*setup.cache);
    for (size_t i = 10; i < 39; ++i) {
        CHECK(after.keys[i + 3] == before.keys[i]);
    }
}

} // namespace pie
