#include "eval/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

namespace pie {

TEST_CASE("the interval of values that do not differ is the value") {
    const MeanInterval one = bootstrap_mean(std::vector<double>{0.3});
    CHECK(one.mean == doctest::Approx(0.3));
    CHECK(one.low == doctest::Approx(0.3));
    CHECK(one.high == doctest::Approx(0.3));
    const MeanInterval same = bootstrap_mean(std::vector<double>(7, -2.5));
    CHECK(same.low == doctest::Approx(-2.5));
    CHECK(same.high == doctest::Approx(-2.5));
}

TEST_CASE("for many values the interval is the normal one") {
    std::mt19937_64 random(4);
    std::vector<double> values;
    double sum = 0;
    double sum_of_squares = 0;
    for (int i = 0; i < 900; ++i) {
        const auto value = static_cast<double>(random() % 1000) / 1000.0;
        values.push_back(value);
        sum += value;
        sum_of_squares += value * value;
    }
    const double mean = sum / 900;
    const double half_width = 1.96 * std::sqrt((sum_of_squares / 900 - mean * mean) / 900);
    const MeanInterval interval = bootstrap_mean(values);
    CHECK(interval.mean == doctest::Approx(mean));
    CHECK(interval.low == doctest::Approx(mean - half_width).epsilon(0.005));
    CHECK(interval.high == doctest::Approx(mean + half_width).epsilon(0.005));
}

TEST_CASE("of two values a quarter of the resamples holds one of them alone, so the interval spans both") {
    const MeanInterval interval = bootstrap_mean(std::vector<double>{1.0, 5.0});
    CHECK(interval.mean == 3.0);
    CHECK(interval.low == 1.0);
    CHECK(interval.high == 5.0);
}

TEST_CASE("equal seeds give equal intervals, others others") {
    std::vector<double> values;
    for (int i = 0; i < 50; ++i) {
        values.push_back(std::sin(i) * i);
    }
    CHECK(bootstrap_mean(values, 3).low == bootstrap_mean(values, 3).low);
    CHECK(bootstrap_mean(values, 3).low != bootstrap_mean(values, 4).low);
}

} // namespace pie
