// Our graphs against libllama's decode, to the bit, on real models and a real source file.

#include "base/files.h"
#include "engine/logits.h"
#include "model/model.h"
#include "model/store.h"
#include "support/reference.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_prompt = 300;
constexpr int32_t n_decoded = 12;

std::unique_ptr<LoadedModel> load(const char* name, MatrixTypes matrix_types = MatrixTypes::file) {
    const auto path = resolve_model(name);
    const std::string advice = std::string("this test needs the model: run `pie model pull ") + name + "`";
    REQUIRE_MESSAGE(path.has_value(), advice);
    auto model = LoadedModel::load(*path, {.matrix_types = matrix_types});
    REQUIRE_MESSAGE(model.has_value(), model.error().message);
    return *std::move(model);
}

std::vector<TokenId> prompt(const LoadedModel& model) {
    const auto text =
        read_file(std::filesystem::path(PIE_SOURCE_DIR) / "src/cli/demo/sample.cpp.txt", 1 << 20);
    REQUIRE_MESSAGE(text.has_value(), text.error().message);
    std::vector<TokenId> tokens = model.vocabulary().tokenize(*text);
    REQUIRE(tokens.size() > n_prompt);
    tokens.resize(n_prompt);
    return tokens;
}

// The prompt in batches of at most `n_batch`, then the most likely tokens one by one.
void check_equal(const LoadedModel& model, const testing::DecodeOptions& options) {
    CAPTURE(options.n_batch);
    CAPTURE(options.n_threads);
    testing::Reference reference(model, options);
    testing::Appender ours(model, options);
    const std::vector<TokenId> tokens = prompt(model);
    std::vector<float> logits;
    const auto check_batch = [&](std::span<const TokenId> batch) {
        const auto last = static_cast<int32_t>(batch.size()) - 1;
        logits = ours.decode(batch, std::span(&last, 1));
        CHECK(testing::bit_difference(logits, reference.decode(batch, std::span(&last, 1))) == "");
    };
    const auto n_batch = static_cast<size_t>(options.n_batch);
    for (size_t i = 0; i < tokens.size(); i += n_batch) {
        CAPTURE(i);
        check_batch(std::span(tokens).subspan(i, std::min(n_batch, tokens.size() - i)));
    }
    for (int32_t i = 0; i < n_decoded; ++i) {
        CAPTURE(i);
        const TokenId best(static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin()));
        check_batch(std::span(&best, 1));
    }
}

void check_equal(const char* name) {
    const auto model = load(name);
    check_equal(*model, {.n_batch = 512, .n_threads = 2});
    check_equal(*model, {.n_batch = 64, .n_threads = 1});
    check_equal(*model, {.n_batch = 128, .n_threads = 2, .type_k = GGML_TYPE_Q8_0, .type_v = GGML_TYPE_Q8_0});
}

} // namespace

TEST_CASE("SmolLM2 135M gives llama_decode's logits") {
    check_equal("smollm2-135m");
}

TEST_CASE("Qwen2.5-Coder 0.5B gives llama_decode's logits") {
    check_equal("qwen2.5-coder-0.5b");
}

// Repacked kernels round the activations otherwise than those for the file's types, so that logits differ as
// they do between two processors.
TEST_CASE("matrices of a faster type for the same weights change no more than rounding does") {
    const auto file = load("qwen2.5-coder-0.5b");
    const auto fastest = load("qwen2.5-coder-0.5b", MatrixTypes::fastest);
    const testing::DecodeOptions options{.n_batch = n_prompt, .n_threads = 2};
    const std::vector<TokenId> tokens = prompt(*file);
    std::vector<int32_t> all(tokens.size());
    std::iota(all.begin(), all.end(), 0);
    const std::vector<float> expected = testing::Appender(*file, options).decode(tokens, all);
    const std::vector<float> logits = testing::Appender(*fastest, options).decode(tokens, all);
    const size_t n_vocabulary = logits.size() / tokens.size();
    double sum = 0;
    for (size_t i = 0; i < logits.size(); i += n_vocabulary) {
        sum += kl_divergence(std::span(expected).subspan(i, n_vocabulary),
                             std::span(logits).subspan(i, n_vocabulary));
    }
    const double mean = sum / static_cast<double>(tokens.size());
    fmt::print("KL(file's types || fastest): {:.5f} nats a token\n", mean);
    CHECK(mean < 0.003);
}

} // namespace pie
