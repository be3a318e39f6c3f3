// The attention kernel against the textbook, in double precision over rows converted one by one: every
// instruction set of this machine, cache type, sharing of heads and length, over cells in random order.

#include "engine/attention.h"
#include "support/instruction_sets.h"

#include <doctest/doctest.h>
#include <ggml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <vector>

namespace pie {
namespace {

struct Case {
    AttentionShape shape;
    ggml_type keys = GGML_TYPE_F16;
    ggml_type values = GGML_TYPE_F16;
    std::vector<int32_t> positions = {};
};

struct Rows {
    std::vector<std::byte> stored;
    std::vector<float> floats; // what is stored, exactly
    size_t row_bytes = 0;
};

struct Problem {
    Case description = {};
    std::vector<float> queries = {};
    Rows keys = {};
    Rows values = {};
    std::vector<Position> positions = {};
    std::vector<CellIndex> cells = {};
};

Rows random_rows(std::mt19937& random, ggml_type type, int64_t n_cells, int64_t width) {
    std::normal_distribution<float> any;
    Rows rows;
    rows.row_bytes = ggml_row_size(type, width);
    rows.stored.resize(static_cast<size_t>(n_cells) * rows.row_bytes);
    rows.floats.resize(static_cast<size_t>(n_cells * width));
    std::ranges::generate(rows.floats, [&] { return any(random); });
    const auto n = static_cast<int64_t>(rows.floats.size());
    ggml_quantize_chunk(type, rows.floats.data(), rows.stored.data(), 0, n_cells, width, nullptr);
    if (type != GGML_TYPE_F32) {
        ggml_get_type_traits(type)->to_float(rows.stored.data(), rows.floats.data(), n);
    }
    return rows;
}

Problem random_problem(std::mt19937& random, const Case& description) {
    const AttentionShape& shape = description.shape;
    Problem problem{.description = description};
    const int32_t n_positions = description.positions.back() + 1;
    const int32_t n_cells = n_positions + 37;
    std::vector<int32_t> order(static_cast<size_t>(n_cells));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, random);
    for (int32_t i = 0; i < n_positions; ++i) {
        problem.cells.emplace_back(order[static_cast<size_t>(i)]);
    }
    const int64_t width = static_cast<int64_t>(shape.n_head_kv) * shape.head_dim;
    problem.keys = random_rows(random, description.keys, n_cells, width);
    problem.values = random_rows(random, description.values, n_cells, width);
    const size_t n_queries =
        description.positions.size() * static_cast<size_t>(shape.n_head * shape.head_dim);
    std::normal_distribution<float> any(0, 2);
    for (size_t i = 0; i < n_queries; ++i) {
        problem.queries.push_back(any(random));
    }
    for (const int32_t position : description.positions) {
        problem.positions.emplace_back(position);
    }
    return problem;
}

std::vector<double> textbook(const Problem& problem) {
    const AttentionShape& shape = problem.description.shape;
    const auto head_dim = static_cast<size_t>(shape.head_dim);
    const auto n_head = static_cast<size_t>(shape.n_head);
    const auto width = static_cast<size_t>(shape.n_head_kv) * head_dim;
    std::vector<double> mixed(problem.queries.size(), 0.0);
    for (size_t row = 0; row < problem.positions.size() * n_head; ++row) {
        const auto n_seen = static_cast<size_t>(problem.positions[row / n_head].value) + 1;
        const size_t offset = row % n_head / static_cast<size_t>(shape.group()) * head_dim;
        const auto at = [&](size_t i) {
            return static_cast<size_t>(problem.cells[i].value) * width + offset;
        };
        std::vector<double> weights(n_seen, 0.0);
        for (size_t i = 0; i < n_seen; ++i) {
            for (size_t j = 0; j < head_dim; ++j) {
                weights[i] += static_cast<double>(problem.queries[row * head_dim + j]) *
                              problem.keys.floats[at(i) + j] * shape.scale;
            }
        }
        const double largest = *std::ranges::max_element(weights);
        for (double& weight : weights) {
            weight = std::exp(weight - largest);
        }
        const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (size_t i = 0; i < n_seen; ++i) {
            for (size_t j = 0; j < head_dim; ++j) {
                mixed[row * head_dim + j] += weights[i] / sum * problem.values.floats[at(i) + j];
            }
        }
    }
    return mixed;
}

std::vector<float> by_kernel(const Problem& problem) {
    const AttentionShape& shape = problem.description.shape;
    const auto n_tokens = static_cast<int32_t>(problem.positions.size());
    const int32_t n_positions = problem.positions.back().value + 1;
    const AttentionJob job{
        .shape = shape,
        .queries = problem.queries.data(),
        .keys = {problem.keys.stored.data(), problem.description.keys, problem.keys.row_bytes},
        .values = {problem.values.stored.data(), problem.description.values, problem.values.row_bytes},
        .positions = problem.positions,
        .cells = problem.cells};
    std::vector<float> partial(attention_partial_floats(shape, n_tokens, n_positions), NAN);
    for (int32_t part = 0; part < attention_parts(shape, n_positions); ++part) {
        attend(job, part, partial.data());
    }
    std::vector<float> mixed(problem.queries.size(), NAN);
    combine_attention(shape, problem.positions, partial.data(), 0, n_tokens / 2, mixed.data());
    combine_attention(shape, problem.positions, partial.data(), n_tokens / 2, n_tokens, mixed.data());
    return mixed;
}

double largest_error(const Problem& problem) {
    const std::vector<float> ours = by_kernel(problem);
    const std::vector<double> expected = textbook(problem);
    double largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        const double error = std::abs(ours[i] - expected[i]);
        largest = std::isnan(error) ? INFINITY : std::max(largest, error);
    }
    return largest;
}

AttentionShape shape_of(int32_t n_head, int32_t n_head_kv, int32_t head_dim) {
    return {n_head, n_head_kv, head_dim, 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

// Values are about 1 and sums in single precision.
constexpr double error_max = 2e-5;

std::vector<Case> cases() {
    std::vector<Case> all;
    constexpr std::array types = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                  GGML_TYPE_Q4_0};
    for (const ggml_type keys : types) {
        for (const ggml_type values : types) {
            all.push_back({shape_of(6, 2, 64), keys, values, {70, 71, 130}});
        }
    }
    for (const AttentionShape& shape : {shape_of(14, 2, 64), shape_of(9, 3, 64), shape_of(16, 16, 128),
                                        shape_of(4, 1, 256), shape_of(4, 2, 16), shape_of(5, 1, 80)}) {
        all.push_back({shape, GGML_TYPE_F16, GGML_TYPE_F16, {0}});
        all.push_back({shape, GGML_TYPE_F16, GGML_TYPE_F16, {0, 1, 2, 62, 63, 64, 65, 127, 128}});
        all.push_back({shape, GGML_TYPE_F16, GGML_TYPE_F16, {1022, 1023, 1024, 1025, 2100}});
    }
    return all;
}

} // namespace

TEST_CASE("attention is the textbook's, for every instruction set") {
    std::mt19937 random(1);
    testing::for_each_instruction_set([&] {
        for (const Case& description : cases()) {
            CAPTURE(description.shape.n_head);
            CAPTURE(description.shape.head_dim);
            CAPTURE(std::string(ggml_type_name(description.keys)));
            CAPTURE(std::string(ggml_type_name(description.values)));
            CAPTURE(description.positions.size());
            REQUIRE(can_attend(description.shape, description.keys, description.values));
            CHECK(largest_error(random_problem(random, description)) < error_max);
        }
    });
}

TEST_CASE("attention of random batches is the textbook's") {
    const uint32_t seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](int32_t n) { return std::uniform_int_distribution<int32_t>(0, n - 1)(random); };
    for (int i = 0; i < 60; ++i) {
        const int32_t n_head_kv = 1 + below(4);
        Case description{.shape = shape_of(n_head_kv * (1 + below(7)), n_head_kv, 16 * (1 + below(8)))};
        for (int32_t position = below(900); description.positions.size() < 1 + static_cast<size_t>(below(63));
             position += 1 + below(40)) {
            description.positions.push_back(position);
        }
        if (description.positions.empty()) {
            continue;
        }
        CHECK(largest_error(random_problem(random, description)) < error_max);
    }
}

// So that what an edit encodes is what a full recompute would, as long as both see the same.
TEST_CASE("a token's attention depends neither on the batch nor on where in the cache things are") {
    std::mt19937 random(1);
    std::vector<int32_t> positions(300);
    std::iota(positions.begin(), positions.end(), 900);
    const AttentionShape shape = shape_of(14, 2, 64);
    const Problem whole = random_problem(random, {.shape = shape, .positions = positions});
    const std::vector<float> expected = by_kernel(whole);
    const size_t token_floats = expected.size() / positions.size();

    Problem moved = whole; // cell i of one is cell n - 1 - i of the other
    const auto reverse = [&](Rows& rows) {
        for (size_t begin = 0; begin < rows.stored.size(); begin += rows.row_bytes) {
            std::reverse(rows.stored.begin() + static_cast<std::ptrdiff_t>(begin),
                         rows.stored.begin() + static_cast<std::ptrdiff_t>(begin + rows.row_bytes));
        }
        std::ranges::reverse(rows.stored);
    };
    reverse(moved.keys);
    reverse(moved.values);
    const auto n_cells = static_cast<int32_t>(whole.keys.stored.size() / whole.keys.row_bytes);
    for (CellIndex& cell : moved.cells) {
        cell = CellIndex(n_cells - 1 - cell.value);
    }
    CHECK(by_kernel(moved) == expected);

    for (const size_t n_tokens : {1, 2, 5, 26, 61, 300}) {
        CAPTURE(n_tokens);
        for (size_t begin = 0; begin < positions.size(); begin += n_tokens) {
            const size_t n = std::min(n_tokens, positions.size() - begin);
            Problem batch = whole;
            batch.positions.assign(whole.positions.begin() + static_cast<std::ptrdiff_t>(begin),
                                   whole.positions.begin() + static_cast<std::ptrdiff_t>(begin + n));
            const auto queries = std::span(whole.queries).subspan(begin * token_floats, n * token_floats);
            batch.queries.assign(queries.begin(), queries.end());
            REQUIRE(std::ranges::equal(by_kernel(batch),
                                       std::span(expected).subspan(begin * token_floats, n * token_floats)));
        }
    }
}

TEST_CASE("scores too large for single precision's exponentials are weighed all the same") {
    std::mt19937 random(1);
    Problem problem = random_problem(random, {.shape = shape_of(2, 1, 64), .positions = {5, 200}});
    for (float& query : problem.queries) {
        query *= 100;
    }
    CHECK(largest_error(problem) < 1e-3); // a score of 1,000 has four digits behind the point
}

TEST_CASE("what the kernel does not take is left to ggml") {
    CHECK_FALSE(can_attend(shape_of(2, 1, 48), GGML_TYPE_Q8_0, GGML_TYPE_F16));
    CHECK_FALSE(can_attend(shape_of(2, 1, 48), GGML_TYPE_F16, GGML_TYPE_Q4_0));
    CHECK_FALSE(can_attend(shape_of(2, 1, 64), GGML_TYPE_Q5_0, GGML_TYPE_F16));
    CHECK_FALSE(can_attend(shape_of(2, 1, 40), GGML_TYPE_F16, GGML_TYPE_F16));
    CHECK_FALSE(can_attend(shape_of(2, 1, 512), GGML_TYPE_F16, GGML_TYPE_F16));
}

} // namespace pie
