#include "cache/rotation.h"
#include "cache/rotation_oracle.h"
#include "support/instruction_sets.h"

#include <doctest/doctest.h>

#include <thread>

namespace pie {
namespace {

using namespace rotation_oracle;

struct Shape {
    int32_t head_dim;
    int32_t n_rot;
    int32_t n_head;
};

// Rotates some rows of random keys and compares all bytes of the cache with what should be there.
void check_against_naive(ggml_type type, RopeLayout layout, const Shape& shape, int32_t delta,
                         std::mt19937& random) {
    INFO(std::string(ggml_type_name(type)));
    CAPTURE(static_cast<int>(layout));
    CAPTURE(shape.head_dim);
    CAPTURE(shape.n_rot);
    CAPTURE(shape.n_head);
    CAPTURE(delta);
    const RopeParams params{.layout = layout, .head_dim = shape.head_dim, .n_rot = shape.n_rot};
    const int32_t n_cells = 24;
    const auto values = random_floats(static_cast<size_t>(shape.n_head * shape.head_dim * n_cells), random);
    Keys keys(type, params, shape.n_head, n_cells, values);
    const Keys before = keys;
    // Out of order, with gaps, and more than the kernels take at once.
    const auto named = cells({20, 3, 4, 5, 11, 0, 23, 8, 9, 10, 17, 15, 22, 1});
    rotate_rows(keys.rows(), named, RotationTable(params, delta));

    size_t n_wrong = 0;
    for (int32_t c = 0; c < n_cells; ++c) {
        const bool is_named = std::find(named.begin(), named.end(), CellIndex(c)) != named.end();
        if (!is_named) {
            CHECK(std::memcmp(keys.row(c), before.row(c), keys.row_bytes) == 0);
            continue;
        }
        const std::vector<float> old = before.floats(c);
        const std::vector<float> turned = keys.floats(c);
        const std::vector<double> expected = naive_rotation(old, params, delta);
        const double around = largest(expected);
        for (size_t i = 0; i < turned.size(); ++i) {
            const auto block = static_cast<int32_t>(ggml_blck_size(type));
            const int32_t in_head = static_cast<int32_t>(i) % shape.head_dim;
            const bool is_touched = in_head / block * block < shape.n_rot;
            const double error = std::abs(static_cast<double>(turned[i]) - expected[i]);
            n_wrong +=
                is_touched ? !(error <= rounding_bound(type, expected, i, around)) : turned[i] != old[i];
        }
        const size_t row_end = ggml_row_size(type, keys.row_size);
        CHECK(std::memcmp(keys.row(c) + row_end, before.row(c) + row_end, keys.row_bytes - row_end) == 0);
    }
    CHECK(n_wrong == 0);
}

} // namespace

TEST_CASE("which types can be rotated") {
    for (const ggml_type type : types) {
        CHECK(can_rotate(type));
    }
    CHECK_FALSE(can_rotate(GGML_TYPE_Q5_0));
    CHECK_FALSE(can_rotate(GGML_TYPE_Q4_K));
    CHECK_FALSE(can_rotate(GGML_TYPE_I32));
}

TEST_CASE("every instruction set, type and layout equals the naive rotation") {
    constexpr Shape shapes[] = {{64, 64, 2},   {128, 128, 1}, {96, 96, 2},  {80, 80, 2},
                                {80, 32, 1},   {64, 18, 2},   {128, 32, 2}, {128, 100, 1},
                                {160, 160, 1}, {32, 2, 3},    {32, 32, 5},  {256, 64, 1}};
    std::mt19937 random(1);
    testing::for_each_instruction_set([&] {
        for (const ggml_type type : types) {
            for (const RopeLayout layout : layouts) {
                for (const Shape& shape : shapes) {
                    if (shape.head_dim % ggml_blck_size(type) == 0) {
                        check_against_naive(type, layout, shape, 37, random);
                    }
                }
                check_against_naive(type, layout, {64, 64, 2}, -2500, random);
            }
        }
    });
}

TEST_CASE("random shapes equal the naive rotation") {
    testing::for_each_instruction_set([] {
        for (uint32_t seed = 0; seed < 60; ++seed) {
            CAPTURE(seed);
            std::mt19937 random(seed);
            const auto below = [&](int32_t n) {
                return std::uniform_int_distribution<int32_t>(0, n - 1)(random);
            };
            const ggml_type type = types[below(5)];
            const auto unit = std::max(2, static_cast<int32_t>(ggml_blck_size(type)));
            const int32_t head_dim = unit * (1 + below(unit > 2 ? 5 : 70));
            const Shape shape{head_dim, 2 * (1 + below(head_dim / 2)), 1 + below(4)};
            check_against_naive(type, layouts[below(2)], shape, 1 + below(20000) - 10000, random);
        }
    });
}

TEST_CASE("quantised blocks hold the bits that ggml would write") {
    const RopeParams params{.head_dim = 64, .n_rot = 64};
    std::mt19937 random(2);
    testing::for_each_instruction_set([&] {
        for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_0}) {
            Keys keys = random_keys(type, params, random);
            const Keys before = keys;
            rotate_all(keys, params, 5);
            size_t n_different = 0;
            size_t n_bytes = 0;
            for (int32_t c = 0; c < keys.n_cells; ++c) {
                const std::vector<double> exact = naive_rotation(before.floats(c), params, 5);
                Keys packed = before;
                packed.set_row(c, std::vector<float>(exact.begin(), exact.end()).data());
                for (size_t b = 0; b < keys.row_bytes; ++b) {
                    n_different += packed.row(c)[b] != keys.row(c)[b];
                    ++n_bytes;
                }
            }
            INFO(std::string(ggml_type_name(type)));
            CHECK(n_different * 500 < n_bytes); // float arithmetic tips a tie now and then
        }
    });
}

TEST_CASE("half precision rounds to nearest, subnormal numbers and overflow included") {
    // A quarter turn maps (a, b) to (-b, a): what comes out is exact, so only conversion is at work. With one
    // pair the angle is delta itself, and no integer is a quarter turn; a frequency factor makes one of it.
    const RopeParams params{.layout = RopeLayout::interleaved,
                            .head_dim = 32,
                            .n_rot = 2,
                            .freq_factors = {static_cast<float>(2 / 3.14159265358979)}};
    testing::for_each_instruction_set([&] {
        for (const float value : {1.0F, -2.5F, 65504.0F, 0x1p-14F, 0x1p-24F, 0x3p-24F, -0x3FFp-24F, 0.0F}) {
            std::vector<float> row(32, 0.5F);
            row[0] = value;
            row[1] = 0;
            Keys keys(GGML_TYPE_F16, params, 1, 1, row);
            rotate_all(keys, params, 1);
            CAPTURE(value);
            CHECK(keys.floats(0)[1] == value);
            CHECK(std::abs(keys.floats(0)[0]) <= std::abs(value) * 1e-7F + 0x1p-25F);
        }
        std::vector<float> row(32, 0.5F);
        row[0] = row[1] = 65504.0F; // after an eighth of a turn 1.41 times that
        Keys keys(GGML_TYPE_F16, params, 1, 1, row);
        RopeParams eighth = params;
        eighth.freq_factors[0] *= 2;
        rotate_all(keys, eighth, 1);
        CHECK(std::isinf(keys.floats(0)[1]));
    });
}

TEST_CASE("zero stays zero and tiny keys stay finite") {
    testing::for_each_instruction_set([] {
        for (const ggml_type type : types) {
            for (const RopeLayout layout : layouts) {
                const RopeParams params{.layout = layout, .head_dim = 64, .n_rot = 64};
                Keys zero(type, params, 1, 1, std::vector<float>(64, 0.0F));
                rotate_all(zero, params, 3);
                Keys tiny(type, params, 1, 1, std::vector<float>(64, 1e-6F));
                rotate_all(tiny, params, 3);
                rotate_all(tiny, params, 3);
                for (size_t i = 0; i < 64; ++i) {
                    CHECK(zero.floats(0)[i] == 0.0F);
                    CHECK(std::abs(tiny.floats(0)[i]) < 2e-5F);
                }
            }
        }
    });
}

TEST_CASE("a delta of zero and an empty list of rows change no bit") {
    const RopeParams params{.head_dim = 64, .n_rot = 64};
    std::mt19937 random(3);
    for (const ggml_type type : types) {
        Keys keys = random_keys(type, params, random);
        const Keys before = keys;
        rotate_all(keys, params, 0);
        rotate_rows(keys.rows(), {}, RotationTable(params, 9));
        CHECK(keys.data == before.data);
    }
}

TEST_CASE("threads on disjoint rows do what one thread does") {
    const RopeParams params{.head_dim = 64, .n_rot = 64};
    std::mt19937 random(4);
    for (const ggml_type type : types) {
        Keys together = random_keys(type, params, random);
        Keys apart = together;
        rotate_all(together, params, 11);
        const RotationTable table(params, 11);
        const auto even = cells({0, 2, 4, 6, 8, 10});
        const auto odd = cells({1, 3, 5, 7, 9, 11});
        std::thread other([&] { rotate_rows(apart.rows(), odd, table); });
        rotate_rows(apart.rows(), even, table);
        other.join();
        CHECK(together.data == apart.data);
    }
}

// Bounds in steps of the type. One rotation rounds by half a step, a quantised one by a little more (its
// scale is rounded too) and q4_0 by up to one, where a value falls on the end of the range that is missing. A
// second rotation mixes two such errors (times 1.42) and adds one of its own.
TEST_CASE("by +d and back by -d is the identity, by +a and on by +b is by a+b, within the type's rounding") {
    for_each_variant([](const RopeParams& params) {
        for (const ggml_type type : types) {
            for (uint32_t seed = 0; seed < 4; ++seed) {
                INFO(std::string(ggml_type_name(type)));
                CAPTURE(seed);
                std::mt19937 random(seed);
                std::uniform_int_distribution<int32_t> any(-4000, 4000);
                const int32_t a = any(random);
                const int32_t b = any(random);
                const Keys keys = random_keys(type, params, random);
                const double once = type == GGML_TYPE_Q4_0 ? 1.01 : type == GGML_TYPE_Q8_0 ? 0.57 : 0.51;

                Keys returned = keys;
                rotate_all(returned, params, a);
                rotate_all(returned, params, -a);
                const Distance back = distance(returned, keys, params);
                CHECK(back.largest < once * 2.42);
                CHECK(back.rms < 0.5);

                Keys twice = keys;
                rotate_all(twice, params, a);
                rotate_all(twice, params, b);
                Keys at_once = keys;
                rotate_all(at_once, params, a + b);
                const Distance sum = distance(twice, at_once, params);
                CHECK(sum.largest < once * 3.42);
                CHECK(sum.rms < 0.6);
            }
        }
    });
}

TEST_CASE("a hundred edits in place leave keys within the type's own noise") {
    const RopeParams params{.head_dim = 128, .n_rot = 128, .freq_base = 1e6F};
    for (const ggml_type type : types) {
        INFO(std::string(ggml_type_name(type)));
        std::mt19937 random(5);
        const Keys keys = random_keys(type, params, random);
        Keys edited = keys;
        for (int32_t edit = 0; edit < 50; ++edit) {
            rotate_all(edited, params, 1 + edit % 7);
            rotate_all(edited, params, -1 - edit % 7);
        }
        CHECK(distance(edited, keys, params).rms <
              5.0); // a random walk: about the root of the number of edits
    }
}

} // namespace pie
