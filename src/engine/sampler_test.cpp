// Rules of sampling on logits made by hand. In the tiny vocabulary the tokens 0 to 255 are the bytes, 256 to
// 258 "an", "ar" and "as".

#include "engine/sampler.h"
#include "engine/sampler_order.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace pie {
namespace {

constexpr TokenId token_a('a');
constexpr TokenId token_x('x');
constexpr TokenId token_y('y');
constexpr TokenId token_z('z');
constexpr TokenId token_end(testing::tiny_vocabulary_size - 4); // <|endoftext|>

const Vocabulary& vocabulary() {
    static const auto model = testing::load_tiny_model({});
    return model->vocabulary();
}

// All other tokens are out of reach, but not impossible: libllama's typical sampling takes no zeros.
std::vector<float> logits_of(const std::map<TokenId, float>& logits) {
    std::vector<float> result(testing::tiny_vocabulary_size, -50.0F);
    for (const auto& [token, logit] : logits) {
        result[static_cast<size_t>(token.value)] = logit;
    }
    return result;
}

std::vector<float> logits_of_probabilities(const std::map<TokenId, float>& probabilities) {
    std::map<TokenId, float> logits;
    for (const auto& [token, value] : probabilities) {
        logits[token] = std::log(value);
    }
    return logits_of(logits);
}

Sampler make(const SamplingOptions& options, const std::vector<TokenId>& before = {}) {
    auto sampler = Sampler::create(vocabulary(), options, before);
    REQUIRE_MESSAGE(sampler.has_value(), sampler.error().message);
    return *std::move(sampler);
}

std::map<TokenId, int> draw(const SamplingOptions& options, const std::vector<float>& logits, int n) {
    Sampler sampler = make(options);
    std::map<TokenId, int> counts;
    for (int i = 0; i < n; ++i) {
        ++counts[sampler.sample(logits)];
    }
    return counts;
}

std::set<TokenId> drawn(const SamplingOptions& options, const std::vector<float>& logits) {
    std::set<TokenId> tokens;
    for (const auto& [token, count] : draw(options, logits, 500)) {
        tokens.insert(token);
    }
    return tokens;
}

// Draws from all tokens but for what a test sets.
SamplingOptions open_options() {
    SamplingOptions options;
    options.temperature = 1;
    options.top_k = 0;
    options.top_p = 1;
    options.min_p = 0;
    return options;
}

void check_refused(const SamplingOptions& options, const std::string& word) {
    CAPTURE(word);
    const auto sampler = Sampler::create(vocabulary(), options, {});
    REQUIRE_FALSE(sampler.has_value());
    CHECK(sampler.error().code == ErrorCode::invalid_argument);
    CHECK(sampler.error().message.find(word) != std::string::npos);
}

} // namespace

TEST_CASE("at temperature 0 the likeliest token is taken, whatever the other options say") {
    SamplingOptions options;
    options.top_k = 0;
    options.top_p = 0;
    options.typical_p = 0.1F;
    CHECK(make(options).sample(logits_of({{token_x, 1.0F}, {token_y, 1.5F}, {token_z, -3.0F}})) == token_y);
    CHECK(make(options).sample(logits_of({{TokenId(0), 5.0F}})) == TokenId(0));
    const TokenId last(testing::tiny_vocabulary_size - 1);
    CHECK(make(options).sample(logits_of({{last, 5.0F}})) == last);
}

TEST_CASE("penalties change the choice") {
    SamplingOptions options;
    const auto positive = logits_of({{token_x, 2.0F}, {token_y, 1.9F}});
    const auto negative = logits_of({{token_x, -1.0F}, {token_y, -1.1F}});
    options.repeat_penalty = 1.2F; // divides what is positive and multiplies what is negative
    CHECK(make(options).sample(positive) == token_x);
    CHECK(make(options, {token_x}).sample(positive) == token_y);
    CHECK(make(options, {token_x}).sample(negative) == token_y);
    CHECK(make(options, {token_x, token_y}).sample(positive) == token_x);

    options = {};
    options.frequency_penalty = 0.06F; // for each time
    CHECK(make(options, {token_x}).sample(positive) == token_x);
    CHECK(make(options, {token_x, token_x}).sample(positive) == token_y);
    options = {};
    options.presence_penalty = 0.06F; // once
    CHECK(make(options, {token_x, token_x}).sample(positive) == token_x);
    options.presence_penalty = 0.11F;
    CHECK(make(options, {token_x}).sample(positive) == token_y);
}

TEST_CASE("penalties see the last tokens of the prompt and what was accepted since, and no more") {
    SamplingOptions options;
    options.repeat_penalty = 1.2F;
    options.penalty_last_n = 2;
    const auto logits = logits_of({{token_x, 2.0F}, {token_y, 1.9F}});
    CHECK(make(options, {token_x, token_a}).sample(logits) == token_y);
    CHECK(make(options, {token_x, token_a, token_a}).sample(logits) == token_x);
    Sampler sampler = make(options);
    sampler.accept(token_x);
    sampler.accept(token_a);
    CHECK(sampler.sample(logits) == token_y);
    sampler.accept(token_a);
    CHECK(sampler.sample(logits) == token_x);
    options.penalty_last_n = 0;
    CHECK(make(options, {token_x}).sample(logits) == token_x);
}

TEST_CASE("penalties act the same on draws, first in the order or later, and not at all where they are not "
          "named") {
    SamplingOptions options = open_options();
    options.repeat_penalty = 1.2F;
    options.temperature = 1e-3F; // so that the likeliest is as good as sure
    const auto logits = logits_of({{token_x, 2.0F}, {token_y, 1.9F}, {token_z, 1.0F}});
    CHECK(make(options, {token_x}).sample(logits) == token_y);
    options.top_k = 3;
    options.order = {SamplerStage::top_k, SamplerStage::penalties, SamplerStage::temperature};
    CHECK(make(options, {token_x}).sample(logits) == token_y);
    options.top_k = 1; // leaves nothing to choose from afterwards
    CHECK(make(options, {token_x}).sample(logits) == token_x);
    options.order = {SamplerStage::temperature};
    CHECK(make(options, {token_x}).sample(logits) == token_x);
    options.temperature = 0;
    CHECK(make(options, {token_x}).sample(logits) == token_x);
}

TEST_CASE("draws come as often as the probabilities say") {
    SamplingOptions options = open_options();
    const auto logits = logits_of_probabilities({{token_x, 0.6F}, {token_y, 0.3F}, {token_z, 0.1F}});
    constexpr int n = 20'000;
    auto counts = draw(options, logits, n);
    CHECK(counts[token_x] / double(n) == doctest::Approx(0.6).epsilon(0.02));
    CHECK(counts[token_y] / double(n) == doctest::Approx(0.3).epsilon(0.04));
    options.temperature = 0.5F; // squares them: 36 : 9 : 1
    counts = draw(options, logits, n);
    CHECK(counts[token_x] / double(n) == doctest::Approx(36.0 / 46).epsilon(0.02));
    CHECK(counts[token_y] / double(n) == doctest::Approx(9.0 / 46).epsilon(0.05));
}

TEST_CASE("each stage leaves the tokens that its definition leaves") {
    const auto logits =
        logits_of_probabilities({{token_x, 0.5F}, {token_y, 0.3F}, {token_z, 0.15F}, {token_a, 0.05F}});
    SamplingOptions options = open_options();
    CHECK(drawn(options, logits) == std::set{token_a, token_x, token_y, token_z});
    options.top_k = 2;
    CHECK(drawn(options, logits) == std::set{token_x, token_y});
    options = open_options();
    options.top_p = 0.85F;
    CHECK(drawn(options, logits) == std::set{token_x, token_y, token_z});
    options = open_options();
    options.min_p = 0.2F; // of 0.5
    CHECK(drawn(options, logits) == std::set{token_x, token_y, token_z});
    options = open_options();
    // The entropy is 1.14 nats; the surprise of y, 1.20, is nearest to it, then x with 0.69.
    options.typical_p = 0.7F;
    CHECK(drawn(options, logits) == std::set{token_x, token_y});
    options.order = {SamplerStage::top_k, SamplerStage::temperature};
    CHECK(drawn(options, logits) == std::set{token_a, token_x, token_y, token_z});
}

TEST_CASE("the order counts") {
    // After top_p x and y are left, of which the penalty then favours y; the other way round z comes in.
    const auto logits = logits_of_probabilities({{token_x, 0.6F}, {token_y, 0.3F}, {token_z, 0.1F}});
    SamplingOptions options = open_options();
    options.top_k = 2;
    options.presence_penalty = 10;
    options.order = {SamplerStage::top_k, SamplerStage::penalties};
    const auto choose = [&] { return make(options, {token_x, token_y}).sample(logits); };
    CHECK(choose() != token_z);
    options.order = {SamplerStage::penalties, SamplerStage::top_k};
    CHECK(choose() == token_z);
}

TEST_CASE("a seed gives the same draws again, another one others") {
    SamplingOptions options = open_options();
    const std::vector<float> logits(testing::tiny_vocabulary_size, 0.0F);
    const auto sequence = [&](uint32_t seed) {
        options.seed = seed;
        Sampler sampler = make(options);
        std::vector<TokenId> tokens;
        for (int i = 0; i < 20; ++i) {
            tokens.push_back(sampler.sample(logits));
        }
        return tokens;
    };
    CHECK(sequence(1) == sequence(1));
    CHECK(sequence(1) != sequence(2));
}

TEST_CASE("infill ends the text where its end is likely, and joins tokens that begin alike") {
    SamplingOptions options;
    options.top_k = 40;
    options.top_p = 0.99F;
    const auto likely_end = logits_of_probabilities({{token_x, 0.7F}, {token_end, 0.3F}});
    // "a" with "an", "ar" and "as" is likelier than x.
    const auto alike = logits_of_probabilities({{token_x, 0.21F},
                                                {token_a, 0.20F},
                                                {TokenId(256), 0.20F},
                                                {TokenId(257), 0.20F},
                                                {TokenId(258), 0.19F}});
    CHECK(make(options).sample(likely_end) == token_x);
    CHECK(make(options).sample(alike) == token_x);
    for (const float temperature : {0.0F, 1.0F}) {
        CAPTURE(temperature);
        options.temperature = temperature;
        options.order = {SamplerStage::top_k, SamplerStage::top_p, SamplerStage::infill};
        CHECK(make(options).sample(likely_end) == token_end);
        CHECK(make(options).sample(alike) == token_a);
    }
    // Where the candidates are fewer, an end of the same probability weighs less.
    options.temperature = 0;
    const auto many = logits_of_probabilities(
        {{token_x, 0.9F}, {token_end, 0.07F}, {token_y, 0.01F}, {token_z, 0.01F}, {token_a, 0.01F}});
    options.top_p = 1;
    options.top_k = 5;
    CHECK(make(options).sample(many) == token_end);
    options.top_k = 2;
    CHECK(make(options).sample(many) == token_x);
}

TEST_CASE("infill is refused over more candidates than it can compare") {
    SamplingOptions options;
    options.order = {SamplerStage::infill};
    check_refused(options, "infill");
    options.order = {SamplerStage::infill, SamplerStage::top_k};
    check_refused(options, "infill");
    options.order = {SamplerStage::top_k, SamplerStage::infill};
    options.top_k = 0;
    check_refused(options, "infill");
    options.top_k = 100'000;
    check_refused(options, "infill");
}

TEST_CASE("options out of their range are refused") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinite = std::numeric_limits<float>::infinity();
    const auto check = [](float SamplingOptions::*option, float value, const char* word) {
        SamplingOptions options;
        options.*option = value;
        check_refused(options, word);
    };
    for (const float value : {nan, -1.0F}) {
        check(&SamplingOptions::temperature, value, "temperature");
        check(&SamplingOptions::top_p, value, "top_p");
        check(&SamplingOptions::min_p, value, "min_p");
        check(&SamplingOptions::typical_p, value, "typical_p");
        check(&SamplingOptions::repeat_penalty, value, "repeat penalty");
    }
    check(&SamplingOptions::temperature, infinite, "temperature");
    check(&SamplingOptions::top_p, 1.1F, "top_p");
    check(&SamplingOptions::repeat_penalty, 0, "repeat penalty");
    check(&SamplingOptions::frequency_penalty, infinite, "frequency penalty");
    check(&SamplingOptions::presence_penalty, nan, "presence penalty");
    SamplingOptions options;
    options.penalty_last_n = -1;
    check_refused(options, "-1");
    options.penalty_last_n = std::numeric_limits<int32_t>::max();
    check_refused(options, "2147483647");
}

TEST_CASE("an order is read from llama-server's names") {
    const auto parse = [](const std::vector<std::string>& names) { return parse_sampler_order(names); };
    // What llama-server says of itself.
    const auto all =
        parse({"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"});
    REQUIRE(all.has_value());
    CHECK(*all == SamplingOptions{}.order);
    const auto plugin = parse({"top_k", "top_p", "infill"});
    REQUIRE(plugin.has_value());
    CHECK(*plugin == std::vector{SamplerStage::top_k, SamplerStage::top_p, SamplerStage::infill});
    const auto spellings = parse({"Top-K", "nucleus", "minp", "temp", "typ"});
    REQUIRE(spellings.has_value());
    CHECK(*spellings == std::vector{SamplerStage::top_k, SamplerStage::top_p, SamplerStage::min_p,
                                    SamplerStage::temperature, SamplerStage::typical_p});
    CHECK(parse({})->empty());
    const auto unknown = parse({"top_k", "mirror"});
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == ErrorCode::invalid_argument);
    CHECK(unknown.error().message.find("'mirror'") != std::string::npos);
    CHECK(unknown.error().message.find("top_k") != std::string::npos);
}

TEST_CASE("probabilities before sampling are the softmax of the logits, after it what was left") {
    std::vector<float> logits =
        logits_of_probabilities({{token_x, 0.5F}, {token_y, 0.3F}, {token_z, 0.15F}, {token_a, 0.05F}});
    for (float& logit : logits) {
        logit += 30; // a softmax does not see a constant
    }
    const auto of = [](const TokenProbability& entry) { return std::exp(entry.log_probability); };
    const TokenProbabilities before = probabilities(logits, token_a, 2);
    CHECK(before.taken.token == token_a);
    CHECK(of(before.taken) == doctest::Approx(0.05));
    REQUIRE(before.likeliest.size() == 2);
    CHECK(before.likeliest[0].token == token_x);
    CHECK(of(before.likeliest[0]) == doctest::Approx(0.5));
    CHECK(before.likeliest[1].token == token_y);
    CHECK(probabilities(logits, token_a, 1000).likeliest.size() == logits.size());

    SamplingOptions options = open_options();
    options.top_k = 2;
    Sampler sampler = make(options);
    const TokenId taken = sampler.sample(logits);
    const TokenProbabilities after = sampler.probabilities(5);
    REQUIRE(after.likeliest.size() == 2);
    CHECK(of(after.likeliest[0]) == doctest::Approx(0.5 / 0.8));
    CHECK(of(after.likeliest[1]) == doctest::Approx(0.3 / 0.8));
    CHECK(after.taken.token == taken);
    CHECK(of(after.taken) == doctest::Approx(taken == token_x ? 0.5 / 0.8 : 0.3 / 0.8));
    CHECK(sampler.probabilities(1).likeliest.size() == 1);

    options.temperature = 0;
    Sampler greedy = make(options);
    (void)greedy.sample(logits);
    CHECK(of(greedy.probabilities(3).taken) == 1);
    REQUIRE(greedy.probabilities(3).likeliest.size() == 1);
    CHECK(greedy.probabilities(3).likeliest[0].token == token_x);
}

} // namespace pie
